"""What happens to sessions by themselves: a gadget ends, a session's time is over, an owner dies or gives up."""

import asyncio
import time

from msgspec.structs import replace

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

    async def orphan(self, session_id: str, reason: str) -> None:
        """Write down that nobody runs this session's gadget: its owner is dead, or this replica gives it up.

        Raises:
            ApiError: 503, to be tried again.
        """
        await self._sections.run(session_id, self._orphaned(session_id, reason))

    async def give_up(self, reason: str, *, flush_s: float) -> None:
        """Stop all gadgets here; returns when their sessions are orphaned, which takes until Redis answers.

        What they observed is given `flush_s` seconds to get into the streams.
        """
        tasks = [self._sections.spawn(self._give_up(s.id, reason, flush_s)) for s in self._runner.sessions()]
        if tasks:
            await asyncio.wait(tasks)

    async def _give_up(self, session_id: str, reason: str, flush_s: float) -> None:
        await self._runner.stop(session_id, flush_s)
        await self._sections.settle(session_id, self._orphaned(session_id, reason))

    def _orphaned(self, session_id: str, reason: str) -> Decide:
        async def decide(look: Look, _hold: Hold) -> Change | None:
            if look.stored is None or look.stored.session.status != "running":
                return None
            now = look.stored.session
            given_up = now.owner == self._membership.instance and not self._runner.runs(session_id)
            if look.stored.owner_alive and not given_up:
                return None
            lost = replace(now, status="orphaned", reason=reason, epoch=look.next_epoch, revision=now.revision + 1)
            return Change(session_id, now.owner, look.stored.raw, lost, epoch=look.next_epoch, record=lost)

        return decide
