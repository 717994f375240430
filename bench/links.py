"""What a link costs a command: processor time of the relay, time of a round trip, commands a second.

Against the way past the links in the same turn. `unread` is a link that does not look at what it relays, as those to
the database are; the difference is what it costs to know where each command ends.

make bench ARGS=links
"""

import asyncio
import os
import socket
import statistics
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from bench.base import cpu_s, heading, median, ratio, table
from limpet.clock import NS_PER_S, now_ns, sleep
from limpet.links.control import Links
from limpet.links.link import HOST, Route
from limpet.links.switches import Gate, Hold, Switch
from limpet.targets.local.ports import Ports
from limpet.targets.local.processes import Processes
from limpet.targets.local.relay import Relay
from limpet.targets.local.valkey import Valkey

TURNS = 7
TURN_S = 0.6
WIDTHS = (1, 16)  # connections, each with one command under way
VALUE = b"x" * 400  # about a session's record
KEY = b"session:00000000-0000-4000-8000-000000000000"
GET = b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(KEY), KEY)
REPLY = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE)
OTHERS = ("lock:session:*",)  # not what is asked for here
WAYS: Mapping[str, Switch] = {
    "past the links": "pass",
    "unread": "pass",
    "passes": "pass",
    "with trace": "pass",
    "with a hold for others": Hold(OTHERS),
    "with a gate for others": Gate(OTHERS),
}
DIRECT, UNREAD, *READ = WAYS
TRACED = "with trace"


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn: commands a second, microseconds of the relay's processor time a command, of a round trip."""

    rate: float
    cpu_us: float
    round_trip_us: float


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it was answered, until it is told to stop."""

    def __init__(self) -> None:
        self.waits_ns: list[int] = []
        self.stopped = asyncio.get_running_loop().create_future()
        self.stopping = False
        self._transport: asyncio.Transport | None = None
        self._missing = 0
        self._asked_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Note how long the answer took, and ask again."""
        self._missing -= len(data)
        if self._missing > 0:
            return
        self.waits_ns.append(now_ns() - self._asked_ns)
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None  # connection_made() has seen to it
        if self.stopping:
            self._transport.close()
            self.stopped.set_result(None)
            return
        self._missing = len(REPLY)
        self._asked_ns = now_ns()
        self._transport.write(GET)


@dataclass(frozen=True, slots=True)
class Place:
    """What is measured: the relay process, and for each way the port to call."""

    links: Links
    relay_pid: int
    ports: dict[str, int]
    folder: Path

    async def set(self, way: str) -> None:
        """Have this way in force."""
        await self.links.trace(self.folder / "trace.log" if way == TRACED else None)
        await self.links.set("read", "redis", WAYS[way])


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """The parts of a stack that are needed, as a stack has them, and the key that is asked for."""
    processes = Processes(folder / "stack", folder / "guardian.log")
    ports = Ports()
    await processes.open(os.getpid())
    try:
        valkey = Valkey(processes, folder / "valkey.log", ports.take())
        await valkey.prepare()
        await valkey.start()
        relay = Relay(processes, folder / "relay.log")
        process = await processes.start(relay.command())
        found = {DIRECT: valkey.port}
        for pod, dependency, ways in ((UNREAD, "postgres", [UNREAD]), ("read", "redis", READ)):
            with socket.create_server((HOST, 0)) as listener:
                found |= dict.fromkeys(ways, listener.getsockname()[1])
                await relay.links.open(Route(pod, dependency, valkey.port, HOST), listener)
        reader, writer = await asyncio.open_connection(HOST, valkey.port)
        writer.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n%b" % (len(KEY), KEY, REPLY))
        await reader.readline()
        writer.close()
        yield Place(relay.links, process.pid, found, folder)
        valkey.release()
        await relay.links.close()
    finally:
        await processes.close()
        ports.close()


async def measure(where: Place, way: str, width: int) -> Measured:
    """One turn."""
    await where.set(way)
    loop = asyncio.get_running_loop()
    callers = []
    for _ in range(width):
        _, caller = await loop.create_connection(Caller, HOST, where.ports[way])
        callers.append(caller)
    await sleep(TURN_S / 4)  # warms up
    for caller in callers:
        caller.waits_ns.clear()
    began_ns, used_s = now_ns(), cpu_s(where.relay_pid)
    await sleep(TURN_S)
    took_s, used_s = (now_ns() - began_ns) / NS_PER_S, cpu_s(where.relay_pid) - used_s
    waits_ns = [wait for caller in callers for wait in caller.waits_ns]
    for caller in callers:
        caller.stopping = True
    await asyncio.wait([caller.stopped for caller in callers])
    count = len(waits_ns)
    return Measured(count / took_s, used_s / count * 1e6, statistics.median(waits_ns) / 1e3)


async def run() -> dict[tuple[str, int], list[Measured]]:
    """All turns."""
    found: dict[tuple[str, int], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        async with place(Path(folder)) as where:
            for _ in range(TURNS):
                for width in WIDTHS:
                    for way in WAYS:
                        found[way, width].append(await measure(where, way, width))
    return found


def main() -> None:
    """One table for each number of connections."""
    heading(f"Links: GET of {len(VALUE)} bytes, {TURNS} turns of {TURN_S:g} s, median (least to most)")
    found = uvloop.run(run())
    for width in WIDTHS:
        direct, unread = found[DIRECT, width], found[UNREAD, width]
        rows = []
        for way in WAYS:
            turns = found[way, width]
            used_us, rates = [turn.cpu_us for turn in turns], [turn.rate for turn in turns]
            added = [turn.round_trip_us - one.round_trip_us for turn, one in zip(turns, direct, strict=True)]
            relay = (median(used_us), ratio(used_us, [one.cpu_us for one in unread]), median(added, 0))
            of_direct = (median(rates, 0), ratio(rates, [one.rate for one in direct]))
            rows.append((way, *(("-",) * 3 if way == DIRECT else relay), *of_direct))
        name = f"{width} connection{'s' if width > 1 else ''}"
        table((name, "relay's CPU us", "of unread", "added round trip us", "commands/s", "of direct"), rows)


if __name__ == "__main__":
    main()
