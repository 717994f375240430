"""Finding Redis's primary through its Sentinels, and noticing when it has moved.

The Sentinels are asked twice a second. When they name another primary all connections to the former one are dropped,
so that nobody waits for an answer of a server that stands still, and nobody reads what an outdated one still says.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from weakref import WeakSet

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

SCHEME = "redis+sentinel"
PORT = 26379
ASK_S = 0.5
POLL_S = 0.5
FORM = f"{SCHEME}://[:password@]host:port[,host:port...]/service[/db]"

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Service:
    """A Redis behind Sentinels: its name with them, and how to log in at its servers (not at the Sentinels)."""

    sentinels: tuple[Address, ...]
    name: str
    db: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse(url: str) -> Service | None:
    """What a URL with the scheme redis+sentinel names; None with another scheme. Raises ValueError: it is malformed."""
    scheme, _, rest = url.partition("://")
    if scheme != SCHEME:
        return None
    where, _, path = rest.partition("/")
    login, _, hosts = where.rpartition("@")
    username, _, password = login.partition(":")
    name, _, db = path.strip("/").partition("/")
    if not (name and all(hosts.split(",")) and (db or "0").isdigit()):
        raise ValueError(f"write {FORM}")
    return Service(
        tuple(_address(host) for host in hosts.split(",")),
        unquote(name),
        int(db or 0),
        unquote(username) or None,
        unquote(password) or None,
    )


class Primary:
    """Where the primary of a service is. `follow` must be running."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._sentinels = [
            Redis(
                host=host,
                port=port,
                socket_timeout=ASK_S,
                socket_connect_timeout=ASK_S,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            for host, port in service.sentinels
        ]
        self._pools: WeakSet[ConnectionPool] = WeakSet()
        self._address: Address | None = None
        self._finding = asyncio.Lock()

    def serves(self, pool: ConnectionPool) -> None:
        """This pool's connections lead to the primary, and are dropped when it has moved."""
        self._pools.add(pool)

    async def address(self) -> Address:
        """Where it was when the Sentinels were asked last. Raises ConnectionError of Redis: none of them knows."""
        async with self._finding:
            if self._address is None:
                self._address = await self._ask_all()
        return self._address

    async def follow(self) -> None:
        """Ask for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                now = await self._ask_all()
            except RedisConnectionError:
                continue  # whatever they said last holds until they say something else
            before, self._address = self._address, now
            if before not in (None, now):
                log.warning("Redis's primary is %s:%d now", *now)
                for pool in list(self._pools):
                    with contextlib.suppress(RedisError, OSError):
                        await pool.disconnect()

    async def close(self) -> None:
        """Close the connections to the Sentinels."""
        for sentinel in self._sentinels:
            with contextlib.suppress(RedisError, OSError):
                await sentinel.aclose()

    async def _ask_all(self) -> Address:
        """The newest answer, once most of the Sentinels have answered, or all that do."""
        name = self.service.name
        asked = [asyncio.create_task(_ask(sentinel, name)) for sentinel in self._sentinels]
        answers: list[tuple[int, Address]] = []
        try:
            for done in asyncio.as_completed(asked):
                with contextlib.suppress(RedisError, OSError):
                    answers.append(await done)
                if len(answers) > len(asked) // 2:
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not answers:
            raise RedisConnectionError(f"no Sentinel tells where the primary of {name!r} is")
        return max(answers)[1]


async def _ask(sentinel: Redis, name: str) -> tuple[int, Address]:
    """The epoch of its configuration, which grows with each failover, and the primary's address."""
    said: Any = await sentinel.execute_command("SENTINEL", "MASTER", name)  # type: ignore[no-untyped-call]
    fields = dict(zip(said[::2], said[1::2], strict=True))
    return int(fields[b"config-epoch"]), (fields[b"ip"].decode(), int(fields[b"port"]))


def _address(host: str) -> Address:
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, str(PORT)
    if not port.isdigit():
        raise ValueError(f"write {FORM}")
    return name.strip("[]"), int(port)
