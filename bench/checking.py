"""What judging costs: Porcupine's histories, and histories of up to a million operations.

make bench ARGS=checking
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.base import heading, median, table
from bench.long_history import INFO, LongHistory
from limpet.checkers import linearizable, unique_registers
from limpet.models.catalogue import MODELS
from limpet.models.given import Numbered, json_lines, operations
from limpet.models.porcupine import etcd_lines, kv_lines

CORPUS = Path(__file__).parent.parent / "tests" / "corpora" / "porcupine"
GO = Path(__file__).parent / "porcupine"
TURNS = 5
AIM_ETCD_S = 0.3
SESSIONS, PROCESSES = 1000, 16
LONG, SHORT = 1_000_000, 10_000
AIM_LONG_S, AIM_LONG_MIB, AIM_GROWTH = 10, 512, 2
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")

Parse = Callable[[Iterable[str], str], Iterator[Numbered]]


def judged(path: Path, model_name: str, parse: Parse) -> tuple[str, float, float]:
    """The verdict on one file, and seconds of processor time: with reading it, and of the search alone."""
    model = MODELS[model_name]
    began_s = time.process_time()
    with path.open(encoding="utf-8") as file:
        objects = model.partition(operations(parse(file, path.name), model, path.name))
    read_s = time.process_time()
    verdict = linearizable.check(objects, model).verdict
    ended_s = time.process_time()
    return verdict, ended_s - began_s, ended_s - read_s


def corpus(name: str, pattern: str, model_name: str, parse: Parse) -> list[float]:
    """Judge all files of a corpus turn by turn; seconds of each turn's searches."""
    paths = sorted((CORPUS / name).glob(pattern))
    turns = [[judged(path, model_name, parse) for path in paths] for _ in range(TURNS + 1)][1:]
    totals = [sum(whole for _, whole, _ in turn) for turn in turns]
    searches = [sum(search for _, _, search in turn) for turn in turns]
    slowest = max((statistics.median(turn[at][1] for turn in turns), path.name) for at, path in enumerate(paths))
    verdicts = [verdict for verdict, _, _ in turns[0]]
    table(
        (f"{name}: {len(paths)} files", "ms"),
        [
            ("read and judged", median([1000 * s for s in totals])),
            ("of that the search", median([1000 * s for s in searches])),
            (f"the slowest, {slowest[1]}", f"{1000 * slowest[0]:.1f}"),
        ],
    )
    print(f"legal {verdicts.count('legal')}, illegal {verdicts.count('illegal')}, open {verdicts.count('unknown')}\n")
    return searches


def beside_porcupine(searches: list[float]) -> None:
    """The same searches by Porcupine, where there is a Go toolchain."""
    go = shutil.which("go")
    if go is None:
        print("no `go` on PATH: not compared with Porcupine\n")
        return
    with tempfile.TemporaryDirectory() as folder:  # where `go` writes what it resolved
        shutil.copytree(GO, folder, dirs_exist_ok=True)
        command = [go, "run", "-mod=mod", ".", str(CORPUS / "etcd"), str(TURNS)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"Porcupine could not be built or run: {done.stderr.strip()[-300:]}\n")
        return
    theirs = [float(line) for line in done.stdout.split()]
    ratio = statistics.median(searches) / statistics.median(theirs)
    print(
        f"Porcupine's search of the etcd files: {median([1000 * s for s in theirs])} ms; ratio {ratio:.2f} (aim: 1.0)\n"
    )


def judge(path: Path) -> None:
    """In a process of its own: judge a long history, print what it took."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    with path.open("rb") as file:
        lines = operations(json_lines(file, path.name), MODELS["register"], path.name)
        count, _, illegal = unique_registers.check(lines)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    peak = PEAK.search(Path("/proc/self/status").read_text(encoding="ascii"))
    reasons = [reason for every in illegal.values() for reason in every]
    said = {
        "operations": count,
        "seconds": took_s,
        "cpu_s": cpu_s,
        "mib": int(peak[1]) / 1024 if peak else 0.0,
        "why": [reason.why for reason in reasons],
        "lines": sorted({access.line for reason in reasons for access in reason.accesses}),
    }
    print(json.dumps(said))


def long_history(folder: Path, count: int, *, stale: bool) -> tuple[dict[str, Any], int]:
    """Write a history, have it judged; what it took, and the line of the planted read."""
    history = LongHistory(count, sessions=SESSIONS, processes=PROCESSES, seed=count, stale=stale)
    path = folder / f"history-{count}-{stale}.jsonl"
    history.write(path)
    done = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, check=True)
    path.unlink()
    return json.loads(done.stdout), history.stale_line


def growth() -> None:
    """Short and long, right and with one stale read."""
    heading(
        f"Registers: {SESSIONS:,} sessions, {PROCESSES} processes, {INFO:.0%} unknown outcomes; read from JSON Lines\n"
        f"(aim: {LONG:,} in {AIM_LONG_S} s and {AIM_LONG_MIB} MiB; each in at most {AIM_GROWTH} times one of {SHORT:,})"
    )
    rows, each_us, told = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for count, stale in ((SHORT, False), (LONG, False), (LONG, True)):
            said, stale_line = long_history(Path(folder), count, stale=stale)
            each_us.append(said["cpu_s"] / said["operations"] * 1e6)
            name = f"{count:,}{', one stale read' if stale else ''}"
            cells = (f"{said['seconds']:.2f}", f"{said['cpu_s']:.2f}", f"{each_us[-1]:.2f}", f"{said['mib']:.0f}")
            rows.append((name, *cells, str(len(said["why"]))))
            if stale:
                named = "is" if stale_line in said["lines"] else "IS NOT"
                told = [
                    f"planted in line {stale_line}, which {named} among the lines shown: {said['lines']}",
                    *said["why"],
                ]
    table(("operations", "seconds", "CPU seconds", "us an operation", "peak MiB", "findings"), rows)
    print(f"an operation of {LONG:,} takes {each_us[1] / each_us[0]:.2f} times one of {SHORT:,}")
    print("\n".join(told))


def main() -> None:
    """All of it."""
    heading(f"Judging Porcupine's histories, imports apart: CPU, median of {TURNS} turns (aim: etcd in {AIM_ETCD_S} s)")
    beside_porcupine(corpus("etcd", "*.log", "cas", etcd_lines))
    corpus("kv", "*.txt", "map", kv_lines)
    growth()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        judge(Path(sys.argv[1]))
    else:
        main()
