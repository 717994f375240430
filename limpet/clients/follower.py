"""A watcher that wants all of a session's stream: whenever its connection ends before the session does, it comes back.

It comes back at once, then every 20 to 50 ms for the first second, then less and less often with jitter, and resumes
where it stood. So a user's browser should do it. A connection that brought events, or stood for a while, was a good
one: after it the tries begin anew. It can also be made to go away and come back by choice.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Self

from limpet.clients.sessions import User
from limpet.clients.streams import Place, Watcher
from limpet.clock import Deadline, sleep

SOON_S = (0.02, 0.05)
SOON_FOR_S = 1.0
BACK_OFF = 2.0
BACK_OFF_S_MAX = 2.0
THERE_WITHIN_S = 10.0  # it is waited for so long; it goes on trying
ENDED, NO_SESSION = 1000, 4404  # there is nothing to come back for


def pauses_s(random: Random, soon: Callable[[], bool]) -> Iterator[float]:
    """How long to wait before each try; no end. `soon` tells whether the first second is still running."""
    yield 0.0
    while soon():
        yield random.uniform(*SOON_S)
    longest_s = SOON_S[1]
    while True:
        longest_s = min(longest_s * BACK_OFF, BACK_OFF_S_MAX)
        yield random.uniform(longest_s / 2, longest_s)


class Follower:
    """Follows one session through a watcher of its own, from `start` until the session's end or `leave`."""

    def __init__(self, watcher: Watcher, random: Random) -> None:
        self.watcher = watcher
        self._random = random
        self._pause_s = 0.0
        self._there = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def start(self, session: str, place: Place | None = None) -> None:
        """Begin from now on, or from `place`; returns when the stream is open, or is not to be had."""
        self._there.clear()
        self._task = asyncio.create_task(self._follow(session, place))
        await self._arrive()

    async def come_back(self, user: User | None = None, *, after_s: float = 0.0) -> None:
        """Go away and come back after a while, where `user` arrives; returns when it is open again."""
        if self._task is None or self._task.done():
            return
        if user is not None:
            self.watcher.move(user.base_url, user.cookie)
        self._pause_s = after_s
        self._there.clear()
        await self.watcher.close()
        await self._arrive()

    async def ended(self) -> None:
        """Wait until the session has ended and the stream was closed."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def leave(self) -> None:
        """Go away for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.watcher.close()

    def _tries(self) -> Iterator[float]:
        """The pauses of one who begins to try now; how long a try itself takes counts too."""
        first = Deadline(SOON_FOR_S)
        return pauses_s(self._random, lambda: not first.passed())

    async def _arrive(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(THERE_WITHIN_S):
                await self._there.wait()

    async def _follow(self, session: str, place: Place | None) -> None:
        watcher, pauses = self.watcher, self._tries()
        try:
            while not (watcher.over or watcher.code in (ENDED, NO_SESSION)):
                await sleep(next(pauses))
                had = watcher.events
                if not await watcher.connect(session, place):
                    continue
                self._there.set()
                a_while = Deadline(SOON_FOR_S)
                await watcher.ended()
                place = watcher.place or place
                good = watcher.events > had or a_while.passed()
                await sleep(self._pause_s)
                self._pause_s = 0.0
                pauses = self._tries() if good else pauses
        finally:
            self._there.set()
