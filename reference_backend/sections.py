"""Critical sections: acquire a session's lock; look; decide; commit; release. A refused commit begins another."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from reference_backend.ending import end
from reference_backend.errors import ApiError
from reference_backend.locks import Hold, Locks
from reference_backend.redis_access import UNREACHABLE
from reference_backend.store import Change, Look, Outcome, Store, retry_later

SECTIONS_MAX = 4
AT_ONCE = 16
PAUSE_S = (0.05, 0.5)

Decide = Callable[[Look, Hold], Awaitable[Change | None]]
"""The middle of a section: from what is there to what shall be, or None to leave it as it is."""

NOTHING = Look(None, 0)


class Sections:
    """Runs critical sections, for clients and in the background."""

    def __init__(self, store: Store, locks: Locks) -> None:
        self._store = store
        self._locks = locks
        self._background: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self, session_id: str, decide: Decide, *, invented: bool = False) -> None:
        """One section, or several until one is committed.

        Ids that anybody may have `invented` get no lock, and so no fence: without a record `decide` is asked at once.

        Raises:
            ApiError: from `decide`; 503, the lock was not to be had or commits were refused again and again.
        """
        if invented and not await self._store.exists(session_id):
            await decide(NOTHING, Hold("", ""))
            return
        outcome: Outcome = "lost"
        for _ in range(SECTIONS_MAX):
            async with self._locks.session(session_id) as hold:
                change = await decide(await self._store.look(session_id), hold)
                if change is None:
                    return
                outcome = await self._store.commit(hold, change)
            if outcome == "ok":
                return
        raise retry_later(outcome)

    def settle(self, session_id: str, decide: Decide, *, after_s: float = 0.0) -> asyncio.Task[None]:
        """Run a section in the background until it succeeds: there is no client who could try again."""

        async def settle() -> None:
            await asyncio.sleep(after_s)
            pause_s = PAUSE_S[0]
            while True:
                try:
                    async with self._slots:
                        return await self.run(session_id, decide)
                except (ApiError, *UNREACHABLE):
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, PAUSE_S[1])

        return self.spawn(settle())

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background, kept until it is done or `close` drops it."""
        task = asyncio.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def close(self) -> None:
        """Drop what still waits in the background."""
        await end(self._background)
