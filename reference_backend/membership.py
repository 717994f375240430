"""Who takes part: this replica's heartbeat, its address, and which replicas are alive.

The heartbeat is the lease of everything that a replica owns. It is written by the event loop that serves, so that a
loop that stands still loses its lease. A replica that could not write it for self_fence_s, by its own monotonic clock,
stops its gadgets by itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from reference_backend import keys
from reference_backend.redis_access import UNREACHABLE
from reference_backend.scripts import Script
from reference_backend.settings import Settings

log = logging.getLogger(__name__)

RETRY_S = (0.03, 0.25)

# KEYS heartbeat, orphans, owned, control, instances. ARGV instance. What a dead replica had goes; one that lives stays.
BURY = Script(
    """
redis.call('DEL', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('ZREM', KEYS[5], ARGV[1])
return redis.call('DEL', KEYS[3], KEYS[4])
"""
)


@dataclass(frozen=True, slots=True)
class Member:
    """A replica that is alive: its last heartbeat in Unix seconds, and where peers reach it ("" if it does not say)."""

    instance: str
    heartbeat_s: float
    address: str


class Membership:
    """This replica's part. `run` beats and must be running.

    Attributes:
        on_fence: called when this replica has to take its lease for lost; called once each time.
        owns: tells which sessions this replica owns, to restore its owned set.
    """

    def __init__(self, redis: Redis, asking: Redis, instance: str, settings: Settings) -> None:
        """Beat over `redis`, which nobody else uses; questions go over `asking`."""
        self._redis = redis
        self._asking = asking
        self._settings = settings
        self._beat_at: float | None = None
        self._fenced = False
        self._fencing: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._settled_at = 0.0
        self.first_beat = asyncio.Event()
        self.instance = instance
        self.address = ""
        self.beats = 0
        self.on_fence: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.owns: Callable[[], Sequence[str]] = list

    @property
    def joined(self) -> bool:
        """Whether a heartbeat was ever written."""
        return self._beat_at is not None

    @property
    def lease_good(self) -> bool:
        """Whether this replica may act as the owner of what it owns."""
        return self._beat_at is not None and time.monotonic() - self._beat_at < self._settings.self_fence_s

    @property
    def may_adopt(self) -> bool:
        """Whether a missing heartbeat means anything: after Redis was away others need an interval to beat again."""
        return self.lease_good and time.monotonic() >= self._settled_at

    def beat_soon(self) -> None:
        """Beat now: the heartbeat was found missing."""
        self._soon.set()

    def redis_was_away(self) -> None:
        """Beat now, and let the others beat before any of them is missed."""
        self._settled_at = time.monotonic() + self._settings.heartbeat_interval_s
        self._soon.set()

    async def run(self) -> None:
        """Beat at once and then every interval; while Redis is away, try again quickly."""
        interval_s = self._settings.heartbeat_interval_s
        next_at = time.monotonic()
        retry_s = RETRY_S[0]
        while True:
            self._fence_if_late()
            if self._fencing is not None:
                # It must not look like the owner of what it gave up; but a lock that is stuck shall not keep it away.
                await asyncio.wait([self._fencing], timeout=self._settings.heartbeat_ttl_s)
                self._fencing = None
            began = time.monotonic()
            try:
                await self._beat()
            except UNREACHABLE as error:
                if retry_s == RETRY_S[0]:
                    log.warning("Redis does not answer: %s", error or type(error).__name__)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 1.5, RETRY_S[1])
                continue
            if retry_s != RETRY_S[0]:
                self._settled_at = time.monotonic() + interval_s
            retry_s = RETRY_S[0]
            self._beat_at, self._fenced = began, False
            self.first_beat.set()
            self.beats += 1
            now = time.monotonic()
            next_at += interval_s
            if next_at <= now:  # the loop stood still: beat in a new rhythm and not several times at once
                next_at = max(now, began + interval_s)  # the lease counts from when the beat was sent
            await self._wait_until(next_at)
            if self._soon.is_set():
                next_at = time.monotonic()  # the next one is an interval after this one

    async def watch_lease(self) -> None:
        """Look often enough whether the lease has to be taken for lost."""
        while True:
            await asyncio.sleep(min(0.5, self._settings.self_fence_s / 10))
            self._fence_if_late()

    async def leave(self, *, orphans: bool) -> None:
        """Remove this replica's own keys.

        If sessions are left that nobody runs, or were given to it at the last moment, its name stays among those that
        beat once, so that others find them.
        """
        i = self.instance
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(keys.heartbeat(i), keys.address(i), keys.control(i))
            pipe.scard(keys.owned(i))
            owned = (await pipe.execute())[1]
        if owned or orphans:
            return
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(keys.owned(i))
            pipe.zrem(keys.INSTANCES, i)
            await pipe.execute()

    async def alive(self) -> list[Member]:
        """All replicas with a heartbeat."""
        return (await self.survey())[0]

    async def survey(self) -> tuple[list[Member], list[str]]:
        """All replicas with a heartbeat, and those that beat once and after which nobody has cleaned up yet."""
        known = await self._known()
        if not known:
            return [], []
        values: Any = await self._asking.mget([keys.heartbeat(i) for i in known] + [keys.address(i) for i in known])
        beats, addresses = values[: len(known)], values[len(known) :]
        members = [
            Member(instance, float(beat), (address or b"").decode())
            for instance, beat, address in zip(known, beats, addresses, strict=True)
            if beat is not None
        ]
        return members, [instance for instance, beat in zip(known, beats, strict=True) if beat is None]

    async def owned_by(self, instance: str) -> list[str]:
        """The sessions that a replica owns."""
        members: Any = await self._asking.smembers(keys.owned(instance))
        return sorted(member.decode() for member in members)

    async def owned_count(self) -> int:
        """How many sessions this replica owns."""
        return int(await self._asking.scard(keys.owned(self.instance)))

    async def disown(self, ids: Sequence[str]) -> None:
        """Take sessions that are no more out of what this replica owns."""
        await self._asking.srem(keys.owned(self.instance), *ids)

    async def address_of(self, instance: str) -> str:
        """Where a replica is reached; "" if it does not say."""
        found: Any = await self._asking.get(keys.address(instance))
        return (found or b"").decode()

    async def declare_dead(self, instance: str) -> None:
        """Remove a lease that nobody renews any more."""
        await self._asking.delete(keys.heartbeat(instance), keys.address(instance), keys.control(instance))

    async def bury(self, instance: str) -> None:
        """What a dead replica had is cleaned up; forget it, unless it has come back."""
        i = instance
        names = [keys.heartbeat(i), keys.orphans(i), keys.owned(i), keys.control(i), keys.INSTANCES]
        await BURY.run(self._asking, names, [i])

    async def _known(self) -> list[str]:
        members: Any = await self._asking.zrange(keys.INSTANCES, 0, -1)
        return [member.decode() for member in members]

    async def _beat(self) -> None:
        i, now = self.instance, time.time()
        ttl_ms = int(self._settings.heartbeat_ttl_s * 1000)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(keys.heartbeat(i), int(now), px=ttl_ms)
            pipe.set(keys.address(i), self.address, px=ttl_ms)
            pipe.zadd(keys.INSTANCES, {i: now})
            pipe.pexpire(keys.owned(i), ttl_ms)
            answers = await pipe.execute()
        owned = self.owns()
        if owned and not answers[3]:  # the set has expired while this replica stood still
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.sadd(keys.owned(i), *owned)
                pipe.pexpire(keys.owned(i), ttl_ms)
                await pipe.execute()

    def _fence_if_late(self) -> None:
        if self._fenced or not self.joined or self.lease_good or self.on_fence is None:
            return
        self._fenced = True
        log.warning("Self-fence: no heartbeat written for %g s; stopping all gadgets", self._settings.self_fence_s)
        self._fencing = asyncio.create_task(self.on_fence())

    async def _wait_until(self, at: float) -> None:
        self._soon.clear()
        try:
            async with asyncio.timeout(max(0.0, at - time.monotonic())):
                await self._soon.wait()
        except TimeoutError:
            pass
