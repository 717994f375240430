"""Bugs of the heartbeat: how often it is written, by whom, with which value and for how long."""

import asyncio
import threading
import time

from redis import Redis
from redis.exceptions import RedisError

from planted.base import plant
from planted.patching import edit, replace
from reference_backend import keys
from reference_backend.membership import Membership

OF_SESSIONS = (
    "session-record",
    "shared-view",
    "stickiness",
    "affinity",
    "restart-persistence",
    "scaling",
    "locking",
    "history",
    "continuity",
)
RETRY_S = 0.1


@plant(caught_by="heartbeat", unrelated="replicas", also=OF_SESSIONS)
def heartbeat_once() -> None:
    """The heartbeat is written at the start and never again.

    The heartbeat is the lease of all that a replica owns: without it sessions are refused, and gadgets stop.
    """
    edit(Membership, "run", "await self._wait_until(next_at)", "await asyncio.Event().wait()")


@plant(caught_by="heartbeat", unrelated="replicas", also=OF_SESSIONS)
def first_heartbeat_late() -> None:
    """The timer of the heartbeat fires for the first time after a whole interval; the replica is ready before.

    Until then it has no lease, and every session that it is asked for is refused.
    """
    start = "retry_s = RETRY_S[0]\n    while True:"
    edit(Membership, "run", start, start.replace("while", "await asyncio.sleep(interval_s)\n    while"))
    edit(Membership, "joined", "self._beat_at is not None", "True")
    edit(Membership, "lease_good", "self._beat_at is not None and", "self._beat_at is None or")


@plant(caught_by="heartbeat", unrelated="session-record")
def heartbeat_without_ttl() -> None:
    """The heartbeat never expires: a replica that was killed lives on in it."""
    edit(Membership, "_beat", "int(now), px=ttl_ms", "int(now)")


@plant(caught_by="heartbeat", unrelated="stickiness")
def heartbeat_in_milliseconds() -> None:
    """The heartbeat says milliseconds where seconds are agreed."""
    edit(Membership, "_beat", "int(now), px=ttl_ms", "int(now * 1000), px=ttl_ms")


@plant(caught_by="heartbeat", unrelated="shared-view")
def heartbeat_from_thread() -> None:
    """A thread of its own writes the heartbeat, also while the event loop stands still and nobody is served."""
    replace(Membership, "run", _run_beside_a_thread)


async def _run_beside_a_thread(self: Membership) -> None:
    over = threading.Event()
    threading.Thread(target=_beat_until, args=(self, over), daemon=True).start()
    try:
        await asyncio.Event().wait()
    finally:
        over.set()


def _beat_until(self: Membership, over: threading.Event) -> None:
    settings, i = self._settings, self.instance
    ttl_ms = int(settings.heartbeat_ttl_s * 1000)
    redis = Redis.from_url(settings.redis_url, socket_timeout=settings.redis_wait_s)
    pause_s = 0.0
    while not over.wait(pause_s):
        began = time.monotonic()
        try:
            with redis.pipeline(transaction=True) as pipe:
                pipe.set(keys.heartbeat(i), int(time.time()), px=ttl_ms)
                pipe.set(keys.address(i), self.address, px=ttl_ms)
                pipe.zadd(keys.INSTANCES, {i: time.time()})
                pipe.pexpire(keys.owned(i), ttl_ms)
                pipe.execute()
        except RedisError:
            pause_s = RETRY_S
            continue
        self._beat_at = began
        self.beats += 1
        pause_s = max(0.0, settings.heartbeat_interval_s - (time.monotonic() - began))
