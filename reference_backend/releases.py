"""Word of released locks, from other processes: one connection that subscribes to the locks somebody here waits for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from reference_backend.redis_access import UNREACHABLE

CONFIRM_S = 0.25


class _Channel:
    """One lock that is waited for."""

    __slots__ = ("confirmed", "released", "waiters")

    def __init__(self) -> None:
        self.waiters = 0
        self.confirmed = asyncio.Event()
        self.released = asyncio.Event()


class Releases:
    """The subscriptions of this process. `run` reads them and must be running."""

    def __init__(self, redis: Redis) -> None:
        self._pubsub = redis.pubsub()
        self._channels: dict[bytes, _Channel] = {}
        self._some = asyncio.Event()

    @asynccontextmanager
    async def of(self, lock: str) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
        """Gives a function that waits, so many seconds at most, for the next release of `lock`.

        A release after the block was entered is not missed. Without a connection the wait just takes its time.
        """
        name = lock.encode()
        channel = self._channels.setdefault(name, _Channel())
        channel.waiters += 1
        try:
            if channel.waiters == 1:
                with contextlib.suppress(*UNREACHABLE):
                    await self._pubsub.subscribe(lock)
                self._some.set()
            await _within(channel.confirmed, CONFIRM_S)
            channel.released.clear()

            async def released(at_most_s: float) -> None:
                await _within(channel.released, at_most_s)
                channel.released.clear()

            yield released
        finally:
            channel.waiters -= 1
            if channel.waiters == 0:
                self._channels.pop(name, None)
                with contextlib.suppress(*UNREACHABLE):
                    await asyncio.shield(self._pubsub.unsubscribe(lock))

    async def run(self) -> None:
        """Read for ever. Raises what the connection raises; to be called again then."""
        while True:
            if not self._channels:
                self._some.clear()
                await self._some.wait()
            if not self._pubsub.subscribed:  # Redis is away; the waiter looks by itself
                await asyncio.sleep(CONFIRM_S)
                continue
            message = await self._pubsub.get_message(timeout=1.0)
            channel = self._channels.get(message["channel"]) if message else None
            if channel is None or message is None:
                await asyncio.sleep(0)
            elif message["type"] == "subscribe":
                channel.confirmed.set()
            elif message["type"] == "message":
                channel.released.set()

    async def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(*UNREACHABLE):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]


async def _within(event: asyncio.Event, at_most_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()
