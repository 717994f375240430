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
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from reference_backend.redis_sentinel import Primary
from reference_backend.settings import Settings

UNREACHABLE = (RedisConnectionError, RedisTimeoutError, OSError)

__all__ = ["UNREACHABLE", "RedisError", "connect"]


class _Checked:
    """Says of two more things that the connection is lost.

    A write to a closed connection, which uvloop calls a RuntimeError; and a server that takes no writes, because a
    failover made it a replica.
    """

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise RedisConnectionError(str(error)) from error

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ReadOnlyError as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise RedisConnectionError(str(error)) from error


class _Connection(_Checked, Connection):
    pass


class _TlsConnection(_Checked, SSLConnection):
    pass


class _ToPrimary(_Connection):
    """Leads to wherever the primary is when it connects, and makes sure that this is one."""

    def __init__(self, *, primary: Primary, **kwargs: Any) -> None:
        self._primary = primary
        super().__init__(**kwargs)

    async def _connect(self) -> None:
        self.host, self.port = await self._primary.address()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001,FBT002 - redis-py's
        await super().on_connect_check_health(check_health=check_health)
        await self.send_command("ROLE")
        role = await self.read_response()
        if role[0] != b"master":
            raise RedisConnectionError(f"{self.host}:{self.port} is no primary")


def connect(
    settings: Settings,
    *,
    connections: int,
    answer_s: float | None = None,
    retries: int = 1,
    primary: Primary | None = None,
) -> Redis:
    """A client with at most `connections` connections, which are opened when they are needed.

    `answer_s` is the longest wait for an answer; it must exceed the time that a blocking command is told to block. With
    infinity the caller sees to it. `primary`: where to connect to instead of the URL of the settings.
    """
    options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": settings.redis_wait_s,
        "socket_connect_timeout": settings.redis_wait_s,
        "socket_timeout": None if answer_s == math.inf else answer_s or settings.redis_wait_s,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), retries),
        "protocol": 2,
    }
    if primary is not None:
        service = primary.service
        options |= {"primary": primary, "db": service.db, "username": service.username, "password": service.password}
        pool = BlockingConnectionPool(connection_class=_ToPrimary, **options)
        primary.serves(pool)
        return Redis.from_pool(pool)
    pool = BlockingConnectionPool.from_url(settings.redis_url, **options)
    pool.connection_class = _TlsConnection if pool.connection_class is SSLConnection else _Connection
    return Redis.from_pool(pool)


async def command(redis: Redis, *parts: str | bytes | float) -> Any:
    """Send a command as it stands here, where the client's own methods have the wrong types."""
    return await redis.execute_command(*parts)  # type: ignore[no-untyped-call]
