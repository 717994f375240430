"""What the reference backend spends on an event for one watcher: processor time, with 1,000 watchers of a session.

Against a server that does nothing but write one ready frame of the same size to all its connections, as often.

make bench ARGS=fanout
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from bench.base import cpu_s, heading, median, ratio, table
from limpet import contract as contracts
from limpet import shipped
from limpet.clients.sessions import User
from limpet.clock import NS_PER_S, eventually, now_ns, sleep
from limpet.errors import LimpetError
from limpet.history import History
from limpet.targets.local.target import LocalTarget

WATCHERS = 1_000
EVENTS_PER_S = 20
TURNS = 5
TURN_S = 5.0
OPEN_S = 60.0
AIM_US = 9.3
EVENT = b'"type":"event"'
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING = b"\x89\x04"  # with four bytes, as this server's are; in no text that it sends
PONG = b"\x8a\x84\0\0\0\0"
BARE_SERVER = Path(__file__).with_name("bare_server.py")
ALONE, ALL, BARE = "one watcher", "reference backend", "nothing but writing"


@dataclass(frozen=True, slots=True)
class Served:
    """One server: its process, and where its stream is."""

    pid: int
    address: str
    path: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn: the server's processor time a second, events a second, bytes an event."""

    cpu_share: float
    rate: float
    bytes_each: float

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's processor time an event."""
        return self.cpu_share / self.rate * 1e6


class Watchers:
    """All watchers of one server; they read and count, and have no time for more."""

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self.begun = 0  # how many have got an event
        self.transports: list[asyncio.Transport] = []


class Watcher(asyncio.Protocol):
    """One connection. Frames come one at a time, and as a rule one in each read."""

    def __init__(self, all_: Watchers, request: bytes) -> None:
        self._all = all_
        self._request = request
        self._begun = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast("asyncio.Transport", transport)
        self._all.transports.append(self._transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count, and say that one is alive when that is asked."""
        at = data.find(PING)
        if at >= 0 and self._transport:
            self._transport.write(PONG + data[at + len(PING) : at + len(PING) + 4])
        events = data.count(EVENT)
        self._all.events += events
        self._all.bytes += len(data)
        if events and not self._begun:
            self._begun = True
            self._all.begun += 1


async def measure(served: Served, count: int = WATCHERS) -> Measured:
    """One turn: open so many, wait until every one of them gets events, count for a while, close."""
    watchers = Watchers()
    host, _, port = served.address.partition(":")
    request = REQUEST.format(path=served.path, address=served.address).encode()
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_connection(lambda: Watcher(watchers, request), host, int(port))

    async def all_begun() -> bool:
        return watchers.begun == count

    await eventually(all_begun, within_s=OPEN_S, what=f"{count} watchers get events")
    events, size, began_ns, used_s = watchers.events, watchers.bytes, now_ns(), cpu_s(served.pid)
    await sleep(TURN_S)
    events, size = watchers.events - events, watchers.bytes - size
    took_s, used_s = (now_ns() - began_ns) / NS_PER_S, cpu_s(served.pid) - used_s
    for transport in watchers.transports:
        transport.abort()
    return Measured(used_s / took_s, events / took_s, size / events)


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
def bare(frame_bytes: int) -> Iterator[Served]:
    """The server to compare with."""
    argv = [sys.executable, str(BARE_SERVER), str(EVENTS_PER_S), str(frame_bytes)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None  # they are pipes
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Served(process.pid, f"127.0.0.1:{port}", "/")
        process.stdin.close()


async def run() -> dict[str, list[Measured]]:
    """All turns; the first tells how large an event is."""
    found: dict[str, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        async with backend(Path(folder)) as replica:
            size = round((await measure(replica)).bytes_each)
            frames = stack.enter_context(bare(size))
            for _ in range(TURNS):
                found[ALONE].append(await measure(replica, 1))
                found[ALL].append(await measure(replica))
                found[BARE].append(await measure(frames))
    return found


def main() -> None:
    """Both, and how much dearer the backend is."""
    heading(
        f"Fan-out: {WATCHERS:,} watchers x {EVENTS_PER_S}/s on one session, {TURNS} turns of {TURN_S:g} s, "
        f"median (least to most; aim: {AIM_US:g} us)"
    )
    found = uvloop.run(run())
    alone, all_, frames = (found[name] for name in (ALONE, ALL, BARE))
    spread = [
        (turn.cpu_share - one.cpu_share) / (turn.rate - one.rate) * 1e6 for turn, one in zip(all_, alone, strict=True)
    ]
    base = [turn.cpu_us for turn in frames]
    costs = {ALL: [turn.cpu_us for turn in all_], "of that for the watchers": spread, BARE: base}
    rows = [(name, median(every), ratio(every, base)) for name, every in costs.items()]
    table(("", "server's CPU us an event", "of bare"), rows)
    print(f"events/s: {median([turn.rate for turn in all_], 0)}, bare {median([turn.rate for turn in frames], 0)}")
    print(f"bytes an event: {median([turn.bytes_each for turn in all_], 0)}")
    print(f"processor time that the session takes with one watcher: {median([t.cpu_share * 1e3 for t in alone])} ms/s")


if __name__ == "__main__":
    main()
