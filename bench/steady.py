"""What sessions, events and watchers cost while nothing happens to them: Redis commands, bytes, processor time.

All sessions together have the same number of events a second however many they are, so that a column that stays flat
says that a session costs nothing but its events. Watchers are measured on one session more.

make bench ARGS=steady
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench.base import cpu_s, heading, median, table
from bench.fanout import Served, opened
from limpet import contract as contracts
from limpet import shipped
from limpet.clock import NS_PER_S, now_ns, sleep
from limpet.history import History
from limpet.targets.local.target import LocalTarget

SESSIONS = (100, 1_000, 10_000)
EVENTS_PER_S = 1_000
WATCHED_PER_S = 20
WATCHERS = 100
AT_ONCE = 16
TURNS = 3
TURN_S = 5.0
SETTLE_S = 3.0
MOST_S = 60.0
BODY = {"type": "trace_tcp", "namespace": "demo", "source": "synthetic"}


@dataclass(frozen=True, slots=True)
class Used:
    """What was used in a second: Redis commands and bytes in and out, processor time of the replica and of Redis."""

    commands: float
    bytes: float
    replica_s: float
    redis_s: float


@dataclass(frozen=True, slots=True)
class Stack:
    """One replica and its Redis, to be measured."""

    pod_pid: int
    redis_pid: int
    address: str
    target: LocalTarget
    http: httpx.AsyncClient

    async def measure(self) -> Used:
        """One turn."""
        redis = self.target.redis()

        async def now() -> tuple[int, float, float, float, float]:
            info: dict[str, Any] = await redis.info()
            moved = info["total_net_input_bytes"] + info["total_net_output_bytes"]
            return now_ns(), info["total_commands_processed"], moved, cpu_s(self.pod_pid), cpu_s(self.redis_pid)

        before = await now()
        await sleep(TURN_S)
        after = await now()
        await redis.aclose()
        took_s = (after[0] - before[0]) / NS_PER_S
        return Used(*((b - a) / took_s for a, b in zip(before[1:], after[1:], strict=True)))

    async def create(self, count: int, rate: float) -> list[str]:
        """So many sessions with so many events a second each."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one() -> str:
            async with slots:
                answer = await self.http.post("/api/sessions", json=BODY | {"rate": rate})
                return str(answer.raise_for_status().json()["id"])

        return await asyncio.gather(*(one() for _ in range(count)))


@asynccontextmanager
async def stack() -> AsyncIterator[Stack]:
    """A stack of one replica."""
    contract = contracts.load(shipped.contract("gadget"))
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history-steady.jsonl", "steady")
        async with LocalTarget(contract, history, Path(folder) / "logs", replicas=1) as target:
            (pod,) = await target.pods()
            redis = target.redis()
            redis_pid = int((await redis.info("server"))["process_id"])
            await redis.aclose()
            async with httpx.AsyncClient(base_url=f"http://{pod.address}", timeout=MOST_S) as http:
                yield Stack(pod.pid, redis_pid, pod.address, target, http)
        history.close()


async def turns(one: Stack) -> list[Used]:
    """Some turns, once what was begun has settled."""
    await sleep(SETTLE_S)
    return [await one.measure() for _ in range(TURNS)]


async def run(sessions: int) -> tuple[list[Used], list[Used], list[Used]]:
    """Without sessions; with so many; with watchers of one session besides."""
    async with stack() as one:
        nothing = await turns(one)
        await one.create(sessions, EVENTS_PER_S / sessions)
        (watched,) = await one.create(1, WATCHED_PER_S)
        running = await turns(one)
        watchers = await opened(Served(one.pod_pid, one.address, f"/ws/{watched}"), WATCHERS)
        with_watchers = await turns(one)
        for watcher in watchers:
            watcher.close()
        return nothing, running, with_watchers


def main() -> None:
    """Print what each costs, for each number of sessions."""
    heading(
        f"Steady state: one replica, {EVENTS_PER_S:,} events/s in all, then {WATCHERS} watchers of a session of "
        f"{WATCHED_PER_S}/s; {TURNS} turns of {TURN_S:g} s"
    )
    rows = []
    for sessions in SESSIONS:
        nothing, running, watched = uvloop.run(run(sessions))
        pairs = list(zip(nothing, running, watched, strict=True))
        delivered = WATCHERS * WATCHED_PER_S
        rows.append(
            (
                f"{sessions:,} sessions",
                median([(b.commands - a.commands) / EVENTS_PER_S for a, b, _ in pairs], 2),
                median([(b.bytes - a.bytes) / EVENTS_PER_S for a, b, _ in pairs], 0),
                median([(b.replica_s - a.replica_s) / EVENTS_PER_S * 1e6 for a, b, _ in pairs], 0),
                median([(b.redis_s - a.redis_s) / EVENTS_PER_S * 1e6 for a, b, _ in pairs], 0),
                median([(c.commands - b.commands) / WATCHERS for _, b, c in pairs], 3),
                median([(c.replica_s - b.replica_s) / delivered * 1e6 for _, b, c in pairs]),
            )
        )
    columns = ("", "commands", "bytes", "replica us", "Redis us", "commands/s a watcher", "replica us a delivery")
    print("of each event: Redis commands, bytes to and from Redis, processor time; what a replica takes without any")
    print("session is taken off\n")
    table(columns, rows)


if __name__ == "__main__":
    main()
