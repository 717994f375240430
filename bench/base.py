"""What the benchmarks share: a heading that says where the figures come from, and a table of them.

Figures from a machine that does other things at the same time differ by a factor of two from one run to the next. So
every benchmark measures something to compare with in the same run, turn by turn, and prints medians and ratios.
"""

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from limpet.clock import NS_PER_S

CPU_INFO = Path("/proc/cpuinfo")


def heading(what: str) -> None:
    """Print what is measured, with which command, and on which machine."""
    load, _, _ = os.getloadavg()
    print(f"\n{what}")
    print(f"command: python bench/{' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}")
    print(
        f"machine: {os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {load:.1f} at the start\n",
        flush=True,
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns: the first to the left, figures to the right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, ["-" * width for width in widths], *rows):
        first, *others = (
            cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join((first, *others)).rstrip())
    print(flush=True)


def median(values: Sequence[float], digits: int = 1) -> str:
    """`4.2 (3.9 to 6.0)`: the median, the least and the greatest."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """The median of what each turn gave, divided by what the same turn gave for the thing compared with: `1.31`."""
    return f"{statistics.median(value / one for value, one in zip(values, base, strict=True)):.2f}"


def cpu_s(pid: int) -> float:
    """Processor time that a process with all its threads has used so far. Raises OSError when it is gone."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) / NS_PER_S


def _processor() -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
