"""Ends and removes sessions whose time has come. One replica at a time does it for all; any can.

It finds its work in Redis alone, so that nothing is forgotten with a process: a sorted set of times at which something
is due.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from reference_backend.errors import ApiError
from reference_backend.lease import Lease
from reference_backend.membership import Membership
from reference_backend.store import Store
from reference_backend.upkeep import Upkeep

log = logging.getLogger(__name__)

DUE_A_SCAN = 500
AT_ONCE = 16
REPAIR_EVERY = 60


class Sweeper:
    """Looks every `scan_s` seconds."""

    def __init__(self, store: Store, upkeep: Upkeep, membership: Membership, lease: Lease, *, scan_s: float) -> None:
        self._store = store
        self._upkeep = upkeep
        self._membership = membership
        self._lease = lease
        self._scan_s = scan_s
        self._scans = 0

    async def run(self) -> None:
        """Sweep for ever. Raises what Redis raises; to be called again then."""
        while True:
            await asyncio.sleep(self._scan_s)
            if self._membership.lease_good and await self._lease.take():
                await self.sweep()

    async def sweep(self) -> None:
        """One look."""
        if self._scans % REPAIR_EVERY == 0:
            await self._repair()
        due = await self._store.due(DUE_A_SCAN)
        await self._each(due, self._upkeep.come_due)
        self._scans += 1

    async def _repair(self) -> None:
        """Go through all sessions: ids without a record leave the index."""
        ids = await self._store.ids()
        found = {stored.session.id async for stored in self._store.records(ids)}
        await self._each([i for i in ids if i not in found], self._upkeep.come_due)

    async def _each(self, ids: Sequence[str], act: Callable[[str], Awaitable[None]]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(session_id: str) -> None:
            async with slots:
                try:
                    await act(session_id)
                except ApiError as error:
                    log.info("Session %s: %s; to be tried again", session_id, error)

        await asyncio.gather(*(one(session_id) for session_id in ids))
