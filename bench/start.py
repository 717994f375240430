"""How long a stack takes from nothing to two replicas that answer through the ingress: five starts in a row.

make bench
"""

import asyncio
import statistics
import tempfile
from pathlib import Path

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
    """Print every start, and the median."""
    totals = []
    for number in range(WARM_UP + STARTS):
        with tempfile.TemporaryDirectory() as folder:
            timing = asyncio.run(_start(Path(folder)))
        total_s = max(timing.values())
        label = "warm-up" if number < WARM_UP else f"start {number - WARM_UP + 1}"
        print(f"{label:8} {total_s:.2f} s  " + "  ".join(f"{name} {at_s:.2f}" for name, at_s in timing.items()))
        if number >= WARM_UP:
            totals.append(total_s)
    print(
        f"median of {STARTS}: {statistics.median(totals):.2f} s (fastest {min(totals):.2f}, slowest {max(totals):.2f})"
    )


if __name__ == "__main__":
    main()
