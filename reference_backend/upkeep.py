"""What happens to sessions by themselves: their time is over, or their owner leaves and nobody takes them."""

import asyncio
import time

from reference_backend.adoption import orphaning
from reference_backend.locks import Hold
from reference_backend.membership import Membership
from reference_backend.runner import Runner
from reference_backend.sections import Decide, Sections
from reference_backend.stopping import Stopping, end_of
from reference_backend.store import Change, Look, Store


class Upkeep:
    """The changes that no client asks for, carried out by whichever replica is alive."""

    def __init__(
        self,
        store: Store,
        sections: Sections,
        stopping: Stopping,
        runner: Runner,
        membership: Membership,
        *,
        keep_s: float,
    ) -> None:
        self._store = store
        self._sections = sections
        self._stopping = stopping
        self._runner = runner
        self._membership = membership
        self._keep_s = keep_s

    async def come_due(self, session_id: str) -> None:
        """End a session whose time is over; remove one that ended long enough ago; forget an id without a record.

        Raises:
            ApiError: 503, to be tried again.
        """

        async def decide(look: Look, hold: Hold) -> Change | None:
            if look.stored is None:
                await self._store.forget(session_id)
                return None
            now = look.stored.session
            if now.ended:
                return Change(session_id, now.owner, look.stored.raw, None)
            if now.times_out_s > time.time():
                return None
            await self._stopping.stop(look.stored, hold)
            return end_of(look, "stopped", "timed out", remove=False, keep_s=self._keep_s)

        await self._sections.run(session_id, decide)

    async def give_up(self, reason: str, *, flush_s: float) -> bool:
        """Stop all gadgets here; returns when their sessions are orphaned, which takes until Redis answers.

        What they observed is given `flush_s` seconds to get into the streams. Gives whether there were any.
        """
        tasks = [self._sections.spawn(self._give_up(s.id, reason, flush_s)) for s in self._runner.sessions()]
        if tasks:
            await asyncio.wait(tasks)
        return bool(tasks)

    async def _give_up(self, session_id: str, reason: str, flush_s: float) -> None:
        await self._runner.stop(session_id, flush_s)
        await self._sections.settle(session_id, self._orphaned(session_id, reason))

    def _orphaned(self, session_id: str, reason: str) -> Decide:
        async def decide(look: Look, _hold: Hold) -> Change | None:
            if look.stored is None or look.stored.session.status != "running":
                return None
            given_up = look.stored.session.owner == self._membership.instance and not self._runner.runs(session_id)
            return orphaning(look, reason) if given_up else None

        return decide
