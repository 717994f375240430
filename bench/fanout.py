"""What the reference backend spends on an event for one watcher: processor time, with 1,000 watchers of a session.

Against a server that does nothing but write one ready frame of the same size to all its connections, as often, and
against one in Node with the package `ws` that sends a text of that size to each of its clients.

make bench ARGS=fanout
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from bench.base import cpu_s, heading, median, ratio, table
from limpet import contract as contracts
from limpet import shipped
from limpet.clients.sessions import User
from limpet.clock import NS_PER_S, now_ns, sleep
from limpet.errors import LimpetError
from limpet.history import History
from limpet.targets.local.target import LocalTarget

WATCHERS = 1_000
EVENTS_PER_S = 20
TURNS = 5
TURN_S = 5.0
OPENED_AT_ONCE = 50
OPEN_S = 20.0
AIM = 0.8  # of what the server in Node takes
EVENT = b'"type":"event"'
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING = b"\x89\x04"  # with four bytes, as this server's are; in no text that it sends
PONG = b"\x8a\x84\0\0\0\0"
BARE_SERVER = Path(__file__).with_name("bare_server.py")
NODE_SERVER = Path(__file__).with_name("ws_server.cjs")
NODE_PACKAGES = Path(__file__).parents[1] / "examples" / "node"
ALONE, ALL, BARE, NODE = "one watcher", "reference backend", "nothing but writing", "Node ws"
FOR_WATCHERS = "of that for the watchers"


@dataclass(frozen=True, slots=True)
class Served:
    """One server: its process, and where its stream is."""

    pid: int
    address: str
    path: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn: the server's processor time a second, events a second, bytes an event, events that came at once."""

    cpu_share: float
    rate: float
    bytes_each: float
    at_once: float

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's processor time an event."""
        return self.cpu_share / self.rate * 1e6


class Watcher(asyncio.Protocol):
    """One connection. Reads and counts, and has no time for more; as a rule each read brings one frame.

    Attributes:
        begun: done when the first event has come; LimpetError when the connection is closed before that.
    """

    def __init__(self, request: bytes) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events = 0
        self.bytes = 0
        self.reads = 0
        self.lost = False
        self._request = request
        self._first = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count, and say that one is alive when that is asked."""
        at = data.find(PING)
        if at >= 0 and self._transport:
            self._transport.write(PONG + data[at + len(PING) : at + len(PING) + 4])
        self._first = self._first or data
        self.events += data.count(EVENT)
        self.bytes += len(data)
        self.reads += 1
        if self.events and not self.begun.done():
            self.begun.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed, and not from here."""
        self.lost = True
        if not self.begun.done():
            self.begun.set_exception(LimpetError(f"closed before an event came: {exc or self._first[:200]!r}"))

    def close(self) -> None:
        """Close it from here."""
        if self._transport:
            self._transport.abort()


async def opened(served: Served, count: int) -> list[Watcher]:
    """So many watchers, all of which get events."""
    host, _, port = served.address.partition(":")
    request = REQUEST.format(path=served.path, address=served.address).encode()
    loop = asyncio.get_running_loop()
    watchers: list[Watcher] = []
    while len(watchers) < count:
        some = []
        for _ in range(min(OPENED_AT_ONCE, count - len(watchers))):
            _, watcher = await loop.create_connection(lambda: Watcher(request), host, int(port))
            some.append(watcher)
        async with asyncio.timeout(OPEN_S):
            await asyncio.gather(*(watcher.begun for watcher in some))
        watchers += some
    return watchers


async def measure(served: Served, count: int = WATCHERS) -> Measured:
    """One turn: so many watchers open, events counted for a while, all closed."""
    watchers = await opened(served, count)
    for watcher in watchers:
        watcher.events = watcher.bytes = watcher.reads = 0
    began_ns, used_s = now_ns(), cpu_s(served.pid)
    await sleep(TURN_S)
    took_s, used_s = (now_ns() - began_ns) / NS_PER_S, cpu_s(served.pid) - used_s
    events, size = sum(one.events for one in watchers), sum(one.bytes for one in watchers)
    reads = sum(one.reads for one in watchers)
    lost = sum(one.lost for one in watchers)
    for watcher in watchers:
        watcher.close()
    if lost or not events:
        raise LimpetError(f"{lost} of {count} watchers were closed by the server; {events} events came")
    return Measured(used_s / took_s, events / took_s, size / events, events / reads)


@asynccontextmanager
async def backend(folder: Path) -> AsyncIterator[Served]:
    """One replica of the reference backend in a stack, with a session of so many events a second."""
    contract = contracts.load(shipped.contract("gadget"))
    history = History(folder / "history-bench.jsonl", "bench")
    async with LocalTarget(contract, history, folder / "logs", replicas=1) as target:
        (pod,) = await target.pods()
        async with User(contract, history, f"http://{pod.address}") as user:
            body = {**contract.http.body, "rate": EVENTS_PER_S}
            answer = await user.call("create", contract.http.create, body=body)
        if answer is None or not answer.good or contract.websocket is None:
            raise LimpetError(f"the backend started no session: {answer}")
        path = contract.websocket.path.format(id=answer.body[contract.http.id])
        yield Served(pod.pid, pod.address, path)
    history.close()


@contextmanager
def started(argv: Sequence[str], cwd: Path | None = None) -> Iterator[Served]:
    """A server to compare with: it prints its port, and ends when its standard input does."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd) as process:
        assert process.stdin is not None  # they are pipes
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Served(process.pid, f"127.0.0.1:{port}", "/")
        process.stdin.close()


def node() -> str:
    """Where Node is, with the package `ws`; "" if there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return ""
    if not (NODE_PACKAGES / "node_modules" / "ws").is_dir():
        subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=NODE_PACKAGES, check=True)
    return node


async def run() -> dict[str, list[Measured]]:
    """All turns; the first tells how large an event is."""
    found: dict[str, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        async with backend(Path(folder)) as replica:
            size = round((await measure(replica)).bytes_each)
            told = [str(EVENTS_PER_S), str(size)]
            others = {BARE: stack.enter_context(started([sys.executable, str(BARE_SERVER), *told]))}
            if program := node():
                others[NODE] = stack.enter_context(started([program, str(NODE_SERVER), *told], NODE_PACKAGES))
            for _ in range(TURNS):
                found[ALONE].append(await measure(replica, 1))
                found[ALL].append(await measure(replica))
                for name, other in others.items():
                    found[name].append(await measure(other))
    return found


def main() -> None:
    """All of them, and how much dearer or cheaper the backend is."""
    heading(
        f"Fan-out: {WATCHERS:,} watchers x {EVENTS_PER_S}/s on one session, {TURNS} turns of {TURN_S:g} s, "
        f"median (least to most; aim: {AIM:g} of Node ws)"
    )
    found = uvloop.run(run())
    costs = {name: [turn.cpu_us for turn in turns] for name, turns in found.items()}
    costs[FOR_WATCHERS] = [
        (turn.cpu_share - one.cpu_share) / (turn.rate - one.rate) * 1e6
        for turn, one in zip(found[ALL], found[ALONE], strict=True)
    ]
    rows = []
    for name in (ALL, FOR_WATCHERS, BARE, NODE):
        if name in costs:
            turns = found.get(name, [])
            of_node = ratio(costs[name], costs[NODE]) if NODE in costs else "-"
            rates = median([turn.rate for turn in turns], 0) if turns else "-"
            at_once = median([turn.at_once for turn in turns]) if turns else "-"
            rows.append((name, median(costs[name]), ratio(costs[name], costs[BARE]), of_node, rates, at_once))
    table(("", "server's CPU us an event", "of writing", "of Node ws", "events/s", "events in one read"), rows)
    if NODE not in costs:
        print("Without Node and npm there is nothing to compare with the package ws.")
    print(f"an event has {found[ALL][0].bytes_each:,.0f} bytes; with one watcher the replica takes", end=" ")
    print(f"{median([turn.cpu_share * 1e3 for turn in found[ALONE]])} ms of processor time a second")


if __name__ == "__main__":
    main()
