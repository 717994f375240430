"""The relay process of a stack: `python -m limpet.links SOCKET` serves links as told over a Unix socket.

It connects to the harness at SOCKET and takes orders as JSON lines, each with an `id`; each is answered by
`{"id": ..., "error": ""}` once it is in force. With an order to open a link comes the socket that it is to listen on.
The process ends when that connection ends.
"""

import asyncio
import json
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

import uvloop

from limpet.links.link import Link, Route
from limpet.links.log import Log
from limpet.links.switches import decode

READ_BYTES_MAX = 1 << 16
LISTENERS_MAX = 64  # that come with one read


class Relay:
    """All links of one stack."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._links: dict[tuple[str, str], Link] = {}
        self._listeners: deque[socket.socket] = deque()
        self._orders: asyncio.Queue[bytes] = asyncio.Queue()
        self._partial = b""
        self._log: Log | None = None

    async def serve(self) -> None:
        """Take orders until the harness closes the connection."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control, self._receive)
        while line := await self._orders.get():
            order = json.loads(line)
            error = ""
            try:
                await self._obey(order)
            except (OSError, KeyError, ValueError, TypeError) as failure:
                error = f"{type(failure).__name__}: {failure}"
            await loop.sock_sendall(self._control, json.dumps({"id": order["id"], "error": error}).encode() + b"\n")

    async def _obey(self, order: dict[str, Any]) -> None:
        if order["do"] == "open":
            route = Route(**order["route"])
            link = self._links[route.pod, route.dependency] = Link(route)
            link.trace(self._log)
            await link.open(self._listeners.popleft())
        elif order["do"] == "set":
            self._links[order["pod"], order["dependency"]].set(decode(order["switch"]))
        elif order["do"] == "trace":
            self._trace(order["path"])
        else:
            for key in [key for key in self._links if key[0] == order["pod"]]:
                self._links.pop(key).close()

    def _trace(self, path: str | None) -> None:
        before, self._log = self._log, Log(Path(path)) if path else None
        for link in self._links.values():
            link.trace(self._log)
        if before:
            before.close()

    def _receive(self) -> None:
        data, handles, _, _ = socket.recv_fds(self._control, READ_BYTES_MAX, LISTENERS_MAX)
        self._listeners.extend(socket.socket(fileno=handle) for handle in handles)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._orders.put_nowait(line)
        if not data:
            asyncio.get_running_loop().remove_reader(self._control)
            self._orders.put_nowait(b"")


def main(path: str) -> None:
    """Connect to the harness and serve."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(path)
        control.setblocking(False)  # noqa: FBT003 - takes no name
        uvloop.run(Relay(control).serve())


if __name__ == "__main__":
    main(sys.argv[1])
