"""The lock of a session: one holder at a time over all replicas, and a fence by which a late one is told.

Within a process callers queue; only the first asks Redis. Between processes a waiter is woken by the release (publish
and subscribe), and looks by itself every quarter of a second or so in case the holder died. Nobody polls faster than
that.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from reference_backend import keys, scripts
from reference_backend.errors import unavailable
from reference_backend.redis_access import UNREACHABLE
from reference_backend.releases import Releases
from reference_backend.scripts import Call, Script
from reference_backend.settings import Settings

POLL_S = (0.15, 0.35)
YIELD_S = (0.0005, 0.003)


@dataclass(frozen=True, slots=True)
class Hold:
    """One acquisition: the token that releases it and the fence that a commit carries."""

    token: str
    fence: str


class Locks:
    """All locks that this process takes."""

    def __init__(self, redis: Redis, releases: Releases, settings: Settings) -> None:
        self._redis = redis
        self._releases = releases
        self._ttl_ms = int(settings.lock_ttl_s * 1000)
        self._wait_s = settings.lock_wait_s
        self._fence_ttl_ms = int((settings.session_timeout_s + settings.ended_keep_s + settings.lock_ttl_s) * 2000)
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}
        self._others_wait: set[str] = set()
        self._releasing: set[asyncio.Task[None]] = set()
        self.waited = 0
        self.refused = 0

    def session(self, session_id: str) -> AbstractAsyncContextManager[Hold]:
        """Hold a session's lock; as `hold`."""
        return self.hold(keys.lock(session_id), keys.fence(session_id))

    @asynccontextmanager
    async def hold(self, lock: str, fence: str) -> AsyncIterator[Hold]:
        """Hold `lock` for the length of the block.

        Raises:
            ApiError: 503, it was not to be had within lock_wait_s.
        """
        deadline = time.monotonic() + self._wait_s
        queue, users = self._queues.get(lock, (asyncio.Lock(), 0))
        self._queues[lock] = queue, users + 1
        try:
            try:
                async with asyncio.timeout(self._wait_s) if queue.locked() else contextlib.nullcontext():
                    await queue.acquire()
            except TimeoutError:
                raise self._not_had(lock) from None
            try:
                hold = await self._acquire(lock, fence, deadline)
                try:
                    yield hold
                finally:
                    await self._release_surely(lock, hold.token)
            finally:
                queue.release()
        finally:
            queue, users = self._queues[lock]
            if users == 1:
                del self._queues[lock]
                self._others_wait.discard(lock)
            else:
                self._queues[lock] = queue, users - 1

    async def take_free(
        self, ids: Sequence[str], then: Script, calls: Sequence[Call]
    ) -> tuple[dict[str, Hold], list[Any]]:
        """Those locks of these sessions that nobody holds, and what a script answers after that, in one round trip.

        `give_back` returns the locks.
        """
        tokens = {i: secrets.token_hex(16) for i in ids}
        ttls = self._ttl_ms, self._fence_ttl_ms
        try:
            answers, looks = await scripts.run_all(
                self._redis,
                (scripts.ACQUIRE, [([keys.lock(i), keys.fence(i)], [tokens[i], *ttls]) for i in ids]),
                (then, calls),
            )
        except (*UNREACHABLE, asyncio.CancelledError):
            await asyncio.shield(self.give_back({i: Hold(token, "") for i, token in tokens.items()}))
            raise
        granted = zip(ids, answers, strict=True)
        return {i: Hold(tokens[i], fence.decode()) for i, (is_ours, fence) in granted if is_ours}, looks

    async def give_back(self, holds: Mapping[str, Hold]) -> None:
        """Release what `take_free` gave."""
        with contextlib.suppress(*UNREACHABLE):  # their TTLs end them
            await scripts.run_all(
                self._redis, (scripts.RELEASE, [([keys.lock(i)], [hold.token]) for i, hold in holds.items()])
            )

    async def holds(self, session_id: str, token: str) -> bool:
        """Whether a session's lock is held under this token."""
        held: Any = await self._redis.get(keys.lock(session_id))
        return bool(held == token.encode())

    async def _acquire(self, lock: str, fence: str, deadline: float) -> Hold:
        token = secrets.token_hex(16)
        if lock in self._others_wait:
            # Another process was told of our release; without a pause the next caller here would nearly always win.
            await asyncio.sleep(random.uniform(*YIELD_S))
        try:
            hold = await self._try(lock, fence, token)
            if hold:
                return hold
            self.waited += 1
            async with self._releases.of(lock) as released:
                while not (hold := await self._try(lock, fence, token)):
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        raise self._not_had(lock)
                    await released(min(left_s, random.uniform(*POLL_S)))
                return hold
        except (*UNREACHABLE, asyncio.CancelledError):
            # The answer is lost, and the lock may be ours: nobody else could release it before its TTL.
            await asyncio.shield(self._release(lock, token))
            raise

    async def _try(self, lock: str, fence: str, token: str) -> Hold | None:
        granted, value = await scripts.ACQUIRE.run(
            self._redis, [lock, fence], [token, self._ttl_ms, self._fence_ttl_ms]
        )
        return Hold(token, value.decode()) if granted else None

    async def _release_surely(self, lock: str, token: str) -> None:
        """Release; if the caller is cancelled meanwhile, in the background. A task for every release would be dear."""
        try:
            await self._release(lock, token)
        except asyncio.CancelledError:
            task = asyncio.create_task(self._release(lock, token))
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)
            raise

    async def _release(self, lock: str, token: str) -> None:
        try:
            told = await scripts.RELEASE.run(self._redis, [lock], [token])
        except UNREACHABLE:
            return  # its TTL ends it
        if told > 0:
            self._others_wait.add(lock)
        else:
            self._others_wait.discard(lock)

    def _not_had(self, lock: str) -> Exception:
        self.refused += 1
        return unavailable("locked", f"{lock} was not to be had within {self._wait_s:g} s")
