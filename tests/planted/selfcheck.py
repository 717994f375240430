"""`make selfcheck`: every planted bug is caught by the guarantee that must catch it, and no other is blamed.

Each bug runs on stacks of its own, with times scaled down: the suite that must catch it and one that has nothing to do
with it, or all suites (`--full`). A run without any bug must be held.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from limpet import runner, seeds
from limpet.clock import NS_PER_S, now_ns
from limpet.contract import GUARANTEES
from limpet.errors import LimpetError
from limpet.report.table import console
from planted import base, judging, matrix, scaled
from planted.base import Bug
from planted.judging import Row

THIRDS = 3
COST_S = {  # of a suite with scaled times; for the order and the time left
    "replicas": 2,
    "identity": 10,
    "session-record": 7,
    "shared-view": 11,
    "stickiness": 7,
    "affinity": 12,
    "restart-persistence": 35,
    "scaling": 15,
    "heartbeat": 25,
    "locking": 10,
    "history": 8,
    "continuity": 32,
    "takeover": 14,
    "drain": 10,
    "availability": 13,
}
START_S = 3  # of a run
OTHER_S = 10  # a suite that is not in the table
END_WITHIN_S = 15.0
WIDTH = 100  # of the matrix, in columns


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a bug, or None for a clean one, and the guarantees to be judged."""

    bug: Bug | None
    guarantees: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the matrix shows it."""
        return self.bug.name if self.bug else "none"

    @property
    def cost_s(self) -> float:
        """How long it will take, roughly."""
        return START_S + sum(COST_S.get(guarantee, OTHER_S) for guarantee in self.guarantees)


def plan(bugs: Iterable[Bug], claimed: Sequence[str], *, third: int | None = None, full: bool = False) -> list[Job]:
    """The jobs, the longest first. A third is a fixed one of the table's, and the thirds take equally long.

    The clean run judges what is asked about any of the bugs.
    """
    jobs = [Job(bug, tuple(claimed) if full else _two(bug)) for bug in bugs]
    jobs.sort(key=lambda job: (-job.cost_s, job.name))
    if third is not None:
        jobs = jobs[third - 1 :: THIRDS]
    asked = {guarantee for job in jobs for guarantee in job.guarantees}
    return [Job(None, tuple(name for name in GUARANTEES if name in asked)), *jobs]


def _two(bug: Bug) -> tuple[str, ...]:
    return tuple(name for name in GUARANTEES if name in (bug.caught_by, bug.unrelated))


class Selfcheck:
    """Runs jobs side by side, each as a `limpet verify` of its own, and tells how it goes."""

    def __init__(self, directory: Path, jobs: Sequence[Job], *, seed: int) -> None:
        self._directory = directory
        self._jobs = jobs
        self._seed = seed
        self._rows: list[Row] = []
        self._started_ns = now_ns()

    @property
    def took_s(self) -> float:
        """Since it was made."""
        return (now_ns() - self._started_ns) / NS_PER_S

    async def run(self, at_once: int) -> list[Row]:
        """All rows, in the order of the jobs' names, the clean run first."""
        gate = asyncio.Semaphore(at_once)

        async def one(job: Job) -> None:
            async with gate:
                row = await self._row(job)
            self._rows.append(row)
            self._tell(row)

        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                group.create_task(one(job))
        return sorted(self._rows, key=lambda row: (row.bug is not None, row.name))

    async def _row(self, job: Job) -> Row:
        began_ns = now_ns()
        folder = self._directory / job.name
        folder.mkdir()
        bug = job.bug
        file = folder / "planted.toml"
        file.write_text(scaled.contract(bug.name if bug and bug.where == "backend" else None), encoding="utf-8")
        words = [sys.executable, "-m", "limpet", "verify", "--contract", str(file), "--run-dir", str(folder / "run")]
        words += ["--jobs", "1", "--seed", str(self._seed), *(w for name in job.guarantees for w in ("--only", name))]
        code = await _run(words, folder / "verify.log", _environment(bug))
        took_s = (now_ns() - began_ns) / NS_PER_S
        try:
            return judging.row(bug, folder / "run", asked=job.guarantees, took_s=took_s)
        except LimpetError as error:
            wrong = f"no verdict (exit code {code}): {error}; log: {folder / 'verify.log'}"
            return Row(bug, {}, None, took_s, (wrong,))

    def _tell(self, row: Row) -> None:
        done = {one.name for one in self._rows}
        costs = {job.name: job.cost_s for job in self._jobs}
        gone = sum(cost for name, cost in costs.items() if name in done)
        left_s = self.took_s / gone * (sum(costs.values()) - gone)
        left = f"; about {left_s / 60:.0f} min left" if left_s > 1 else ""
        click.echo(f"  {len(done):>2} of {len(self._jobs)}  {matrix.line(row)}{left}")


def _environment(bug: Bug | None) -> dict[str, str]:
    """This process's, without what a surrounding pytest or limpet has put there; bugs of the ingress get in by it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LIMPET_"))}
    ingress = (
        {"PYTEST_PLUGINS": "planted.in_ingress", "PLANTED_BUG": bug.name} if bug and bug.where == "ingress" else {}
    )
    return clean | {"PYTHONPATH": scaled.PYTHON_PATH} | ingress


async def _run(words: Sequence[str], log: Path, environment: dict[str, str]) -> int:
    """Its exit code. When this is cancelled, it is interrupted, and has ended when this returns."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=DEVNULL, stdout=output, stderr=STDOUT, env=environment, start_new_session=True
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await asyncio.shield(_end(process))


async def _end(process: Process) -> None:
    """SIGTERM, and SIGKILL for one that does not heed it; its guardians end the stacks in any case.

    Not SIGINT: what a shell starts in the background ignores that, and so do its children.
    """
    process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), END_WITHIN_S)
        return
    process.kill()
    await process.wait()


@click.command()
@click.option("--only", "-o", multiple=True, metavar="BUG", help="Only this one; may be given again.")
@click.option("--third", type=click.IntRange(1, THIRDS), help="Only a fixed third of the bugs.")
@click.option("--full", is_flag=True, help="Judge all that the contract claims, and not two guarantees of each bug.")
@click.option("--jobs", "-j", type=click.IntRange(1, 64), help="Bugs side by side.  [default: two for each core]")
@click.option("--seed", type=click.IntRange(0), help="Seed of everything random.  [default: a new one]")
@click.option("--run-dir", type=click.Path(file_okay=False, path_type=Path), help="Where all of it goes.")
def main(**given: Any) -> None:
    """Plant each bug in the reference backend and see that it is caught, by the right guarantee and by no other."""
    sys.exit(_main(**given))


def _main(
    *, only: Sequence[str], third: int | None, full: bool, jobs: int | None, seed: int | None, run_dir: Path | None
) -> int:
    bugs = base.load()
    for name in only:
        if name not in bugs:
            raise click.UsageError(f"there is no bug {name!r}; there are: {', '.join(bugs)}")
    directory = run_dir or runner.new_directory("selfcheck-full" if full else "selfcheck")
    directory = directory.absolute()
    directory.mkdir(parents=True)
    seed = seeds.fresh() if seed is None else seed
    wanted = [bug for name, bug in bugs.items() if not only or name in only]
    todo = plan(wanted, scaled.claimed(), third=third, full=full)
    at_once = min(jobs or 2 * (os.cpu_count() or 1), len(todo))
    click.echo(f"selfcheck: {len(todo) - 1} bugs and a clean run, seed {seed}, {at_once} at a time")
    check = Selfcheck(directory, todo, seed=seed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows = asyncio.run(check.run(at_once))
    except KeyboardInterrupt:
        click.echo(f"interrupted; what was done lies in {directory}", err=True)
        return 130
    out = console()
    out.width = max(out.width, WIDTH)  # a cell that is cut tells nothing
    out.print(matrix.table(rows))
    click.echo(matrix.key(rows))
    title = "Selfcheck, all guarantees" if full else "Selfcheck"
    text = matrix.summary(rows, title=title, took_s=check.took_s)
    (directory / "summary.md").write_text(text, encoding="utf-8")
    click.echo(f"{matrix.verdict(rows, check.took_s)}\n{directory / 'summary.md'}")
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    main()
