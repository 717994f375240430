"""A job that one replica does for all: whoever holds the lease. Doing it twice would be waste and not a mistake."""

import contextlib

from redis.asyncio import Redis

from reference_backend.redis_access import UNREACHABLE
from reference_backend.scripts import Script

# KEYS lease. ARGV instance, TTL ms. -> 1 if it is ours
LEASE = Script(
    """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)

# KEYS key. ARGV value. Deletes it if it still has this value.
DELETE_IF = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")


class Lease:
    """A name in Redis that one replica at a time holds, for `ttl_s` seconds after it asked last."""

    def __init__(self, redis: Redis, name: str, instance: str, ttl_s: float) -> None:
        self._redis = redis
        self._name = name
        self._instance = instance
        self._ttl_ms = int(ttl_s * 1000)

    async def take(self) -> bool:
        """Take it, or keep it."""
        return bool(await LEASE.run(self._redis, [self._name], [self._instance, self._ttl_ms]))

    async def leave(self) -> None:
        """Let another replica have it at once."""
        with contextlib.suppress(*UNREACHABLE):
            await DELETE_IF.run(self._redis, [self._name], [self._instance])
