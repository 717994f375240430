"""How long a stack takes from nothing to two replicas that answer through the ingress.

make bench ARGS=start
"""

import asyncio
import tempfile
from pathlib import Path

from bench.base import heading, median, table
from limpet import contract as contracts
from limpet import shipped
from limpet.history import History
from limpet.targets.local.target import LocalTarget

STARTS = 5
WARM_UP = 1


async def _start(folder: Path) -> dict[str, float]:
    contract = contracts.load(shipped.contract("gadget"))
    history = History(folder / "history-start.jsonl", "start")
    async with LocalTarget(contract, history, folder / "logs") as target:
        timing = dict(target.timing)
    history.close()
    return timing


def main() -> None:
    """When each step of a start was reached."""
    heading(f"Start of a stack: Traefik, Valkey, PostgreSQL, two replicas; {STARTS} in a row, median (least to most)")
    reached: dict[str, list[float]] = {}
    for number in range(WARM_UP + STARTS):
        with tempfile.TemporaryDirectory() as folder:
            timing = asyncio.run(_start(Path(folder)))
        for step, at_s in timing.items() if number >= WARM_UP else ():
            reached.setdefault(step, []).append(at_s)
    rows = sorted(reached.items(), key=lambda row: sorted(row[1])[len(row[1]) // 2])
    table(("reached", "seconds"), [(step, median(every, 2)) for step, every in rows])


if __name__ == "__main__":
    main()
