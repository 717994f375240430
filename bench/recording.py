"""What it costs to record an operation: two lines, through the calls that clients make.

make bench ARGS=recording
"""

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bench.base import heading, median, ratio, table
from limpet.clock import now_ns
from limpet.history import History, Line, Recorder

OPERATIONS = 50_000
TURNS = 9
AIM_US = 5.0

SESSION = str(uuid.UUID(int=1 << 120))
POD = str(uuid.UUID(int=2 << 120))

Loop = Callable[[History], Coroutine[Any, Any, None]]


async def recorded(history: History) -> None:
    """As a client records an update."""
    recorder = Recorder(history)
    for number in range(OPERATIONS):
        async with recorder.operation("update", SESSION, number) as done:
            done.ok(session=SESSION, value=number, pod=POD, status=200)


async def written(history: History) -> None:
    """The part of it that no way of recording can do without: two lines made and written."""
    for number in range(OPERATIONS):
        history.write(Line(now_ns(), "invoke", "update", 1, SESSION, number))
        history.write(Line(now_ns(), "ok", "update", 1, SESSION, number, POD, {"status": 200}))


async def dumped(_: History) -> None:
    """To compare with: two dictionaries of the same content encoded by the standard library, and written nowhere."""
    for number in range(OPERATIONS):
        line = {"t": time.monotonic_ns(), "type": "invoke", "op": "update", "process": 1, "session": SESSION}
        json.dumps(line | {"value": number}).encode()
        json.dumps(line | {"value": number, "type": "ok", "pod": POD, "data": {"status": 200}}).encode()


LOOPS: dict[str, Loop] = {
    "recorded as clients do": recorded,
    "two lines made and written": written,
    "two lines by json.dumps": dumped,
}


def turn(loop: Loop, folder: Path) -> float:
    """Microseconds of processor time an operation, its share of writing the file included."""
    history = History(folder / "history-bench.jsonl", "bench")
    began_s = time.process_time()
    asyncio.run(loop(history))
    history.close()
    used_s = time.process_time() - began_s
    history.path.unlink()
    return used_s / OPERATIONS * 1e6


def main() -> None:
    """Turn by turn, so that what else the machine does meets all of them."""
    heading(f"Recording: CPU of an operation, median of {TURNS} turns of {OPERATIONS:,} (aim: under {AIM_US:g} us)")
    costs: dict[str, list[float]] = {name: [] for name in LOOPS}
    with tempfile.TemporaryDirectory() as folder:
        for name, loop in [*LOOPS.items()] * (TURNS + 1):
            costs[name].append(turn(loop, Path(folder)))
    timed = {name: every[1:] for name, every in costs.items()}  # the first turn warms up
    base = timed["two lines by json.dumps"]
    rows = [(name, median(every, 2), ratio(every, base)) for name, every in timed.items()]
    table(("", "us an operation", "of json.dumps"), rows)


if __name__ == "__main__":
    main()
