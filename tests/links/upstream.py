"""A dependency that echoes, and a relay process with one link to it."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from limpet.links.control import Links
from limpet.links.link import Route

SOURCE = "127.64.0.7"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Upstream:
    """What the link leads to, and the link.

    Attributes:
        port: the link's.
        sources: the addresses that connections came from.
        ends: how each connection ended: `end` or `reset`.
        reading: cleared, the dependency does not read.
    """

    links: Links
    relay: subprocess.Popen[bytes]
    port: int = 0
    sources: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    open_streams: list[Streams] = field(default_factory=list)

    async def connect(self) -> Streams:
        streams = await asyncio.open_connection("127.0.0.1", self.port)
        self.open_streams.append(streams)
        return streams

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sources.append(writer.get_extra_info("peername")[0])
        try:
            await self.reading.wait()
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            self.ends.append("end")
        except ConnectionResetError:
            self.ends.append("reset")
        writer.close()


@asynccontextmanager
async def relayed(folder: Path, *, source: str = SOURCE) -> AsyncIterator[Upstream]:
    links = Links(folder / "links.sock")
    relay = subprocess.Popen([sys.executable, "-P", "-m", "limpet.links", str(links.path)])  # noqa: ASYNC220 - a moment
    upstream = Upstream(links, relay)
    upstream.reading.set()
    upstream.server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    upstream.port = listener.getsockname()[1]
    early = await upstream.connect()  # before anybody serves the port
    route = Route("backend-1", "redis", upstream.server.sockets[0].getsockname()[1], source)
    try:
        await links.open(route, listener)
        listener.close()
        assert await echoed(early, b"early")
        yield upstream
    finally:
        for _, writer in upstream.open_streams:
            writer.close()
        await links.close()
        upstream.server.close()
        assert await asyncio.to_thread(relay.wait, 10) in (0, -9)


async def echoed(streams: Streams, data: bytes, within_s: float = 5) -> bool:
    """Whether data come back; False when nothing does in time."""
    reader, writer = streams
    writer.write(data)
    try:
        async with asyncio.timeout(within_s):
            return await reader.readexactly(len(data)) == data
    except TimeoutError:
        return False
