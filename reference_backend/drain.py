"""Leaving without anybody noticing: a replica that was told to stop gives all that it has to its peers first.

Requests go on being answered meanwhile, and new sessions are started at peers. Streams are closed last, when no new
ones come.
"""

import asyncio
import contextlib
import time

from reference_backend.balance import Balance
from reference_backend.handover import Handover
from reference_backend.membership import Membership
from reference_backend.peer_links import PeerLinks
from reference_backend.redis_access import UNREACHABLE
from reference_backend.runner import Runner
from reference_backend.store import Store

AGAIN_S = 0.05
MEET_S = 0.5


class Drain:
    """Gives everything away."""

    def __init__(
        self,
        store: Store,
        handover: Handover,
        balance: Balance,
        runner: Runner,
        *,
        membership: Membership,
        links: PeerLinks,
    ) -> None:
        self._store = store
        self._handover = handover
        self._balance = balance
        self._runner = runner
        self._membership = membership
        self._links = links

    async def give_all(self, within_s: float) -> None:
        """Give every session to a peer; returns when none is left, when no peer can take what is, or when time is up.

        Called again it gives what has come since.
        """
        began_s = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                # What is waited for is in Redis and in peers: no event of this process tells.
                while not await self._give(alone=time.monotonic() - began_s > MEET_S):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(AGAIN_S)

    async def _give(self, *, alone: bool) -> bool:
        """One round. True if nothing is left to give, or nobody takes it; `alone` if no peer can be waited for."""
        try:
            seen_s = time.monotonic()
            self._links.update((await self._membership.survey())[0], seen_s)
            mine = set(await self._membership.owned_by(self._membership.instance))
            mine |= {session.id for session in self._runner.sessions()}
            sessions = [s.session async for s in self._store.records(sorted(mine)) if s.session.status == "running"]
            plan = self._balance.spread([s for s in sessions if s.owner == self._membership.instance])
            for instance, ids in plan.items():
                await self._handover.give(ids, instance)
        except UNREACHABLE:
            return False
        return not sessions or (alone and not plan)
