"""A true Valkey, and a relay process with a link to it for each of several pods."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from limpet.clock import eventually
from limpet.links.control import Links
from limpet.links.link import Route
from limpet.links.log import Exchange, Lost, read
from limpet.targets.local import programs

PODS = ("backend-1", "backend-2", "backend-3")


@dataclass
class Speaking:
    """Where everything is.

    Attributes:
        port: the server's own.
        ports: of each pod's link.
    """

    folder: Path
    links: Links
    port: int
    ports: dict[str, int]

    def redis(self, pod: str = "", *, name: str | None = None, resp: int = 3, connections: int = 100) -> Redis:
        """A client of one pod, or past the links; it sends nothing twice."""
        port = self.ports[pod] if pod else self.port
        retry = Retry(NoBackoff(), 0)
        return Redis(port=port, client_name=name, protocol=resp, retry=retry, max_connections=connections)

    async def raw(self, pod: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.ports[pod])

    @asynccontextmanager
    async def traced(self) -> AsyncIterator[list[Exchange | Lost]]:
        """What the links saw in the block, filled in at its end."""
        path = self.folder / "links.log"
        records: list[Exchange | Lost] = []
        await self.links.trace(path)
        yield records
        await self.links.trace(None)
        records += read(path)


@contextmanager
def valkey(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([str(programs.valkey()), *words], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        server.kill()
        server.wait(10)


@asynccontextmanager
async def speaking(folder: Path) -> AsyncIterator[Speaking]:
    with valkey(folder) as port:
        links = Links(folder / "links.sock")
        relay = subprocess.Popen([sys.executable, "-P", "-m", "limpet.links", str(links.path)])  # noqa: ASYNC220 - a moment
        there = Speaking(folder, links, port, {})
        try:
            for number, pod in enumerate(PODS, 1):
                listener = socket.create_server(("127.0.0.1", 0))
                there.ports[pod] = listener.getsockname()[1]
                await links.open(Route(pod, "redis", port, f"127.64.0.{number}"), listener)
                listener.close()
            async with there.redis() as client:

                async def answers() -> bool:
                    try:
                        return bool(await client.ping())
                    except OSError:
                        return False

                await eventually(answers, within_s=10, what="Valkey")
            yield there
        finally:
            await links.close()
            await asyncio.to_thread(relay.wait, 10)
