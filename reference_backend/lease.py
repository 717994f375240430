"""A job that one replica does for all: whoever holds the lease. Doing it twice would be waste and not a mistake."""

import contextlib

from redis.asyncio import Redis

from reference_backend import scripts
from reference_backend.redis_access import UNREACHABLE


class Lease:
    """A name in Redis that one replica at a time holds, for `ttl_s` seconds after it asked last."""

    def __init__(self, redis: Redis, name: str, instance: str, ttl_s: float) -> None:
        self._redis = redis
        self._name = name
        self._instance = instance
        self._ttl_ms = int(ttl_s * 1000)

    async def take(self) -> bool:
        """Take it, or keep it."""
        return bool(await scripts.LEASE.run(self._redis, [self._name], [self._instance, self._ttl_ms]))

    async def leave(self) -> None:
        """Let another replica have it at once."""
        with contextlib.suppress(*UNREACHABLE):
            await scripts.DELETE_IF.run(self._redis, [self._name], [self._instance])
