"""One link: a listening port that stands for a dependency, for one pod."""

import asyncio
import socket
from dataclasses import dataclass

from limpet.links.connection import Connection, Side
from limpet.links.switches import TREATMENTS, Switch

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a link stands.

    Attributes:
        pod: whose link it is.
        dependency: what it leads to: "redis", "postgres".
        upstream: the dependency's own port, on 127.0.0.1.
        source: the address of this machine that connections to the dependency come from; one per pod, so that the
            dependency can tell the pods apart. All of 127.0.0.0/8 is local on Linux; elsewhere only 127.0.0.1 is.
    """

    pod: str
    dependency: str
    upstream: int
    source: str


class Link:
    """A route that is served, on a socket that listens already: who connected before is served as well."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._switch: Switch = "pass"
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def open(self, listener: socket.socket) -> None:
        """Serve those who connect."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=listener)

    def set(self, switch: Switch) -> None:
        """Treat all connections, and all that come, by this switch."""
        self._switch = switch
        for connection in list(self._connections):
            self._treat(connection)

    def close(self) -> None:
        """Stop listening, and reset what is left."""
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.end(reset=True)

    def _accept(self) -> Side:
        return Connection(self._arrived, self._connections.discard).near

    def _arrived(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._treat(connection)

    def _treat(self, connection: Connection) -> None:
        TREATMENTS[self._switch](connection, (HOST, self.route.upstream), self.route.source)
