"""The relay process of a stack: `python -m limpet.links SOCKET` serves links as told over a Unix socket.

It connects to the harness at SOCKET and takes orders as JSON lines, each with an `id`; each is answered by
`{"id": ..., "error": ""}` once it is in force. It ends when that connection ends.
"""

import asyncio
import json
import sys
from typing import Any

import uvloop

from limpet.links.link import Link, Route


class Relay:
    """All links of one stack."""

    def __init__(self) -> None:
        self._links: dict[tuple[str, str], Link] = {}

    async def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order. Raises OSError when a port is not free, KeyError for an unknown link."""
        if order["do"] == "open":
            route = Route(**order["route"])
            link = Link(route)
            await link.open()
            self._links[route.pod, route.dependency] = link
        elif order["do"] == "set":
            self._links[order["pod"], order["dependency"]].set(order["switch"])
        elif order["do"] == "close":
            for key in [key for key in self._links if key[0] == order["pod"]]:
                self._links.pop(key).close()

    async def serve(self, path: str) -> None:
        """Take orders until the harness closes the connection."""
        reader, writer = await asyncio.open_unix_connection(path)
        while line := await reader.readline():
            order = json.loads(line)
            error = ""
            try:
                await self.obey(order)
            except (OSError, KeyError) as failure:
                error = f"{type(failure).__name__}: {failure}"
            writer.write(json.dumps({"id": order["id"], "error": error}).encode() + b"\n")


if __name__ == "__main__":
    uvloop.run(Relay().serve(sys.argv[1]))
