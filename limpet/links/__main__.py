"""The relay process of a stack: `python -m limpet.links SOCKET` serves links as told over a Unix socket.

It connects to the harness at SOCKET and takes orders as JSON lines, each with an `id`; each is answered by
`{"id": ..., "error": ""}` once it is in force. With an order to open a link comes the socket that it is to listen on.
What happens at gates is told as `{"event": text}` (gate.py).
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

from limpet.links import gate
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
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()  # and not sent
        self._partial = b""
        self._log: Log | None = None

    async def serve(self) -> None:
        """Take orders until the harness closes the connection."""
        asyncio.get_running_loop().add_reader(self._control, self._receive)
        speaking = asyncio.create_task(self._speak())
        while line := await self._orders.get():
            order = json.loads(line)
            error = ""
            try:
                await self._obey(order)
            except (OSError, KeyError, ValueError, TypeError) as failure:
                error = f"{type(failure).__name__}: {failure}"
            self._said.put_nowait({"id": order["id"], "error": error})
        speaking.cancel()

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            said = [await self._said.get()]
            while not self._said.empty():
                said.append(self._said.get_nowait())
            await loop.sock_sendall(self._control, b"".join(json.dumps(one).encode() + b"\n" for one in said))

    def _tell(self, event: gate.Event) -> None:
        self._said.put_nowait({"event": gate.encode(event)})

    async def _obey(self, order: dict[str, Any]) -> None:
        if order["do"] == "open":
            route = Route(**order["route"])
            link = self._links[route.pod, route.dependency] = Link(route, self._tell)
            link.trace(self._log)
            await link.open(self._listeners.popleft())
        elif order["do"] == "set":
            self._links[order["pod"], order["dependency"]].set(decode(order["switch"]))
        elif order["do"] == "admit":
            self._links[order["pod"], "redis"].admit(order["ticket"])
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
