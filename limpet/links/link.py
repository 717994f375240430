"""One link: a listening port that stands for a dependency, for one pod."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from limpet.links import gate
from limpet.links.connection import Connection, Side
from limpet.links.conversation import Conversation
from limpet.links.log import Log
from limpet.links.pace import Delayed, Pace, Throttled
from limpet.links.switches import CutAfterCommand, Delay, Flap, Gate, Hold, Switch, Throttle, Way
from limpet.links.watch import Watch

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
    """A route that is served, on a socket that listens already: who connected before is served as well.

    `tell` is told of what happens at its gate.
    """

    def __init__(self, route: Route, tell: Callable[[gate.Event], None]) -> None:
        self.route = route
        self._switch: Switch = "pass"
        at_gate = gate.Gate(route.pod, tell)
        self._watch = Watch(self._cut_done, at_gate) if route.dependency == "redis" else None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._count = 0
        self._random = Random(f"{route.pod}/{route.dependency}")
        self._flapping: asyncio.Task[None] | None = None

    async def open(self, listener: socket.socket) -> None:
        """Serve those who connect."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=listener)

    def set(self, switch: Switch) -> None:
        """Treat all connections, and all that come, by this switch. Raises ValueError where it makes no sense."""
        if isinstance(switch, Hold | CutAfterCommand | Gate) and self._watch is None:
            raise ValueError(
                f"{type(switch).__name__} is for links to Redis; {self.route.dependency} is not understood"
            )
        if self._flapping:
            self._flapping.cancel()
            self._flapping = None
        if isinstance(switch, Flap):
            self._flapping = asyncio.create_task(self._flap(switch))
        else:
            self._put(switch)

    def admit(self, ticket: int) -> None:
        """Let one command that stands at the gate through."""
        if self._watch:
            self._watch.gate.admit(ticket)

    def trace(self, log: Log | None) -> None:
        """Write down what passes from now on, if Redis is spoken here. What is still open goes into the log before."""
        if self._watch is None:
            return
        for connection in self._connections:
            if connection.conversation:
                connection.conversation.note_open()
        self._watch.log = log

    def close(self) -> None:
        """Stop listening, and reset what is left."""
        if self._flapping:
            self._flapping.cancel()
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.end(reset=True)

    async def _flap(self, switch: Flap) -> None:
        while True:
            self._put("pass")
            await asyncio.sleep(switch.up_s)
            self._put("cut")
            await asyncio.sleep(switch.down_s)

    def _put(self, switch: Switch) -> None:
        self._switch = switch
        if self._watch:
            self._watch.set(switch if isinstance(switch, Hold | CutAfterCommand | Gate) else None)
        for connection in list(self._connections):
            self._treat(connection)

    def _cut_done(self) -> None:
        self._switch = "pass"

    def _accept(self) -> Side:
        self._count += 1
        conversation = Conversation(self._watch, self.route.pod, self._count) if self._watch else None
        return Connection(self._arrived, self._connections.discard, conversation).near

    def _arrived(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._treat(connection)

    def _treat(self, connection: Connection) -> None:
        if self._switch == "cut":
            connection.end(reset=True)
            return
        connection.there.clear(pace=self._pace("there"))
        connection.back.clear(pace=self._pace("back"))
        if self._switch != "blackhole":
            connection.reach(HOST, self.route.upstream, self.route.source)
        connection.stall(stalled=self._switch == "blackhole")

    def _pace(self, way: Way) -> Pace | None:
        match self._switch:
            case Delay(way=which) as switch if which in (way, "both"):
                return Delayed(switch, self._random)
            case Throttle(way=which) as switch if which in (way, "both"):
                return Throttled(switch)
            case _:
                return None
