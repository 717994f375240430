"""A server that does nothing but write one ready frame to all its connections: what no server can be cheaper than.

    python bench/bare_server.py EVENTS_A_SECOND FRAME_BYTES

It prints its port, answers every request as if it asked for a WebSocket, and ends when its standard input does.
"""

import asyncio
import sys
from typing import cast

import uvloop

HOST = "127.0.0.1"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
EVENT = b'{"type":"event"'


class Connection(asyncio.Protocol):
    """One watcher; among `open` once it has asked."""

    open: dict["Connection", asyncio.Transport]

    def __init__(self, open_: dict["Connection", asyncio.Transport]) -> None:
        self.open = open_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer at once, whatever is asked."""
        self.open[self] = cast("asyncio.Transport", transport)
        self.open[self].write(SWITCHED)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as a Protocol
        """It is gone."""
        del self.open[self]


async def serve(events_per_s: float, frame: bytes) -> None:
    """Write the frame to all, at these moments, until there is no more standard input."""
    loop = asyncio.get_running_loop()
    watchers: dict[Connection, asyncio.Transport] = {}
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    server = await loop.create_server(lambda: Connection(watchers), HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    due_s = loop.time()
    while not ended.is_set():
        for transport in watchers.values():
            transport.write(frame)
        due_s += 1 / events_per_s
        await asyncio.sleep(due_s - loop.time())


if __name__ == "__main__":
    size = int(sys.argv[2])
    header = b"\x81\x7e" + (size - 4).to_bytes(2, "big")
    uvloop.run(serve(float(sys.argv[1]), header + EVENT + b" " * (size - 4 - len(EVENT))))
