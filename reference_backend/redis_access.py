"""Connections to Redis. One pool for requests, and a connection of its own for whatever must not wait behind them.

Time-outs are short and a command is retried once at most: a client gets a 503 with Retry-After sooner than a hanging
request. A second try is harmless because everything sent here is idempotent (a plain read or write, or a script of
scripts.py).
"""

import math
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from reference_backend.settings import Settings

UNREACHABLE = (RedisConnectionError, RedisTimeoutError, OSError)

__all__ = ["UNREACHABLE", "RedisError", "connect"]


class _Writes:
    """Says of a write to a closed connection that the connection is lost; uvloop calls it a RuntimeError."""

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise RedisConnectionError(str(error)) from error


class _Connection(_Writes, Connection):
    pass


class _TlsConnection(_Writes, SSLConnection):
    pass


def connect(settings: Settings, *, connections: int, answer_s: float | None = None, retries: int = 1) -> Redis:
    """A client with at most `connections` connections, which are opened when they are needed.

    `answer_s` is the longest wait for an answer; it must exceed the time that a blocking command is told to block. With
    infinity the caller sees to it.
    """
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=connections,
        timeout=settings.redis_wait_s,
        socket_connect_timeout=settings.redis_wait_s,
        socket_timeout=None if answer_s == math.inf else answer_s or settings.redis_wait_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), retries),
        protocol=2,
    )
    pool.connection_class = _TlsConnection if pool.connection_class is SSLConnection else _Connection
    return Redis.from_pool(pool)


async def command(redis: Redis, *parts: str | bytes | float) -> Any:
    """Send a command as it stands here, where the client's own methods have the wrong types."""
    return await redis.execute_command(*parts)  # type: ignore[no-untyped-call]
