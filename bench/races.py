"""How many schedules a second the race explorer plays and judges on a stack of two replicas.

The processor time is that of everything that takes part: the harness, the relay, Redis and the replicas.

make bench ARGS=races
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.base import cpu_s, heading, median, table
from limpet import contract as contracts
from limpet import shipped
from limpet.checkers.interleavings import judge, numbered
from limpet.clock import NS_PER_S, now_ns
from limpet.races.explore import explore
from limpet.races.play import Player, calls_of
from limpet.runner import Settings, stack

TURNS = 5
SCHEDULES = 100
LEAST_RATE = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn: schedules a second, processor milliseconds a schedule of all and of the harness alone."""

    rate: float
    cpu_ms: float
    harness_ms: float


async def run() -> list[Measured]:
    """All turns, on one stack; the first warms it up and is not counted."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(contracts.load(shipped.contract("gadget")), Path(folder), "local", 2, 0, None, os.getpid())
        async with stack(settings, "races") as running, Player(running) as player:
            for seed in range(TURNS + 1):
                began_ns, all_s, own_s = now_ns(), *await asyncio.to_thread(_used)
                await explore(
                    player.play,
                    lambda played: judge(numbered(played.lines), running.contract),
                    lanes=player.lanes,
                    ops=calls_of(running.contract),
                    seed=seed,
                    schedules=SCHEDULES,
                )
                took_s = (now_ns() - began_ns) / NS_PER_S
                used = [after - before for after, before in zip(_used(), (all_s, own_s), strict=True)]
                found.append(Measured(SCHEDULES / took_s, *(one / SCHEDULES * 1e3 for one in used)))
    return found[1:]


def _used() -> tuple[float, float]:
    """Processor seconds of this process with all that it started, and of it alone."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        children.setdefault(int(words[1]), []).append(int(stat.parent.name))
    waiting, total_s = [os.getpid()], 0.0
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        try:
            total_s += cpu_s(pid)
        except OSError:
            continue
    return total_s, cpu_s(os.getpid())


def main() -> None:
    """One table."""
    heading(f"Races: {TURNS} turns of {SCHEDULES} schedules on two replicas, median (least to most)")
    found = uvloop.run(run())
    rows = [
        ("schedules/s", median([one.rate for one in found]), f"{LEAST_RATE} or more"),
        ("CPU ms a schedule", median([one.cpu_ms for one in found]), "-"),
        ("of these the harness", median([one.harness_ms for one in found]), "-"),
    ]
    table(("figure", "measured", "wanted"), rows)


if __name__ == "__main__":
    main()
