"""`limpet races`: look for an order of Redis commands in which a backend goes wrong."""

import asyncio
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path

import click
import uvloop
from rich.console import Console
from rich.text import Text

from limpet import contract as contracts
from limpet import runner, seeds, shipped
from limpet.checkers.interleavings import KINDS, judge, numbered
from limpet.cli.options import make_run_directory, of_a_stack
from limpet.clock import NS_PER_S, now_ns
from limpet.contract import Contract
from limpet.owner import owner_pid
from limpet.races.explore import Exploration, Found, explore
from limpet.races.picture import draw
from limpet.races.play import Player, calls_of
from limpet.races.schedule import LANES, Schedule
from limpet.report.table import console
from limpet.runner import Settings
from limpet.verdict import EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED
from limpet.workloads.stack import Stack

SCHEDULES = 300
DOUBTFUL_MAX = 0.1  # of all schedules
REPLICAS = 2
SAY_EVERY = 50


@click.command()
@of_a_stack
@click.option(
    "--schedules",
    "-n",
    type=click.IntRange(1),
    help=f"Draw so many schedules.  [default: {SCHEDULES}, without --minutes]",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Draw schedules for so long.")
@click.option("--seed", type=click.IntRange(0), help="Seed of what is drawn.  [default: a new one]")
@click.option("--schedule", metavar="TEXT", help='Play this one schedule: "A:update B:update | A A x B B".')
def races(
    *,
    contract: str,
    replicas: int,
    port: int | None,
    run_dir: Path | None,
    schedules: int | None,
    minutes: float | None,
    seed: int | None,
    schedule: str | None,
) -> int:
    """Look for races: draw what replicas do to one session at the same time, and in which order.

    Each schedule has two to four calls (read, update, delete, create again, as the contract offers them) on one session
    through different replicas, and an order in which their commands reach Redis, which the links to Redis enforce turn
    by turn. That the session's lock expires is a step like any other. What was done is judged as `locking` and
    `shared-view` are. Of what goes wrong the simplest schedule is looked for and shown, with the command that repeats
    it.

    \b
    A schedule as text:  A:update B:delete | A A x B
      A:update B:delete  the calls; A is the first replica, which made the session
      A A x B            two commands of A, the lock expires, one command of B
    After the steps A goes on to its end, then B, and so on.

    \b
    limpet races                                    300 schedules of the reference backend
    limpet races -c backend.toml -r 3 --minutes 5   of a backend of yours, on three replicas
    limpet races --schedule "A:update B:delete | A A x B"

    Exit codes: 0 nothing went wrong, 1 something did, 2 too little was seen, 3 the harness or its surroundings failed.
    """  # noqa: D301  \b is click's mark for text that keeps its lines
    known = contracts.load(shipped.contract(contract))
    given = Schedule.parse(schedule) if schedule is not None else None
    least = max(REPLICAS, *(LANES.index(lane) + 1 for lane in given.lanes)) if given else REPLICAS
    if not least <= replicas <= len(LANES):
        raise click.UsageError(f"give {least} to {len(LANES)} replicas, not {replicas}")
    seed = seeds.fresh() if seed is None else seed
    directory = make_run_directory(run_dir or runner.new_directory("races"), latest=False)
    settings = Settings(known, directory, "local", replicas, seed, port, owner_pid())
    repeat = shlex.join(["limpet", "races", "--contract", contract, "--replicas", str(replicas)])
    wanted = _Wanted(given, schedules or (None if minutes else SCHEDULES), minutes and minutes * 60, repeat)
    click.echo(f"limpet races: {known.name}, {replicas} replicas, {wanted}" + ("" if given else f", seed {seed}"))
    try:
        code = uvloop.run(_races(settings, wanted))
    except asyncio.CancelledError:
        raise click.exceptions.Abort from None
    click.echo(str(directory))
    return code


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: one schedule that is given, or so many, or for so long; and the command that repeats one."""

    given: Schedule | None
    count: int | None
    within_s: float | None
    repeat: str

    def __str__(self) -> str:
        if self.given:
            return "one schedule"
        limits = [f"{self.count} schedules"] if self.count else []
        return " or ".join(limits + ([f"{self.within_s / 60:g} minutes"] if self.within_s else []))


async def _races(settings: Settings, wanted: _Wanted) -> int:
    task = asyncio.current_task()
    assert task is not None  # it is this one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with runner.stack(settings, "races") as stack:
        if wanted.given:
            return await _one(stack, wanted.given, wanted.repeat)
        shown = _Shown(console(), wanted.count)
        async with Player(stack) as player:
            exploration = await explore(
                player.play,
                lambda played: judge(numbered(played.lines), stack.contract),
                lanes=player.lanes,
                ops=calls_of(stack.contract),
                seed=settings.seed,
                schedules=wanted.count,
                within_s=wanted.within_s,
                told=shown.tell,
            )
    shown.end(exploration)
    return _verdict(exploration, stack.contract, wanted.repeat)


async def _one(stack: Stack, schedule: Schedule, repeat: str) -> int:
    async with Player(stack) as player:
        played = await player.play(schedule)
    if str(played.schedule) != str(schedule):
        click.echo(f"the steps that could be taken: {played.schedule}")
    judged = judge(numbered(played.lines), stack.contract)
    if judged.violations:
        _show(Found(played, judged.violations[0]), stack.contract, repeat)
        return EXIT_VIOLATED
    click.echo(f"\n{draw(played.lines, stack.contract)}\n")
    click.echo(f"unknown: {judged.doubt}" if judged.doubt else "held: nothing went wrong")
    return EXIT_UNKNOWN if judged.doubt else EXIT_HELD


class _Shown:
    """Says how far it has come: on a terminal in one line, elsewhere every now and then in a line of its own."""

    def __init__(self, out: Console, count: int | None) -> None:
        self._out = out
        self._count = count
        self._began_ns = now_ns()

    def tell(self, exploration: Exploration) -> None:
        """One more schedule was played."""
        played = exploration.drawn + exploration.shrinking + len(exploration.doubtful)
        if played == 1:
            self._began_ns = now_ns()
        line = f"  {self.progress(exploration)}"
        if self._out.is_terminal:
            self._out.print(Text(f"\r{line}\x1b[K"), end="", soft_wrap=True)
        elif played % SAY_EVERY == 0:
            self._out.print(Text(line), soft_wrap=True)

    def progress(self, exploration: Exploration) -> str:
        """`120 of 300 schedules, 34 a second`."""
        played = exploration.drawn + exploration.shrinking + len(exploration.doubtful)
        rate = (played - 1) * NS_PER_S / max(now_ns() - self._began_ns, 1)
        of = f" of {self._count}" if self._count else ""
        simpler = f", and {exploration.shrinking} to make it simpler" if exploration.found else ""
        return f"{exploration.drawn}{of} schedules{simpler}" + (f", {rate:.0f} a second" if played > 1 else "")

    def end(self, exploration: Exploration) -> None:
        """Nothing more comes."""
        if self._out.is_terminal:
            self._out.print()
        click.echo(f"{self.progress(exploration)}, {exploration.acquired} locks acquired")


def _verdict(exploration: Exploration, contract: Contract, repeat: str) -> int:
    for kind in sorted(exploration.found, key=KINDS.index):
        _show(exploration.found[kind], contract, repeat)
    if exploration.found:
        return EXIT_VIOLATED
    doubtful = len(exploration.doubtful)
    if not exploration.drawn or doubtful > DOUBTFUL_MAX * exploration.drawn:
        click.echo(f"unknown: {doubtful} schedules say nothing, the first: {exploration.doubtful[0]}")
        return EXIT_UNKNOWN
    if not exploration.acquired:
        click.echo(f"unknown: nobody ever acquired {contract.redis.lock}")
        return EXIT_UNKNOWN
    click.echo("held: nothing went wrong" + (f" ({doubtful} schedules say nothing)" if doubtful else ""))
    return EXIT_HELD


def _show(found: Found, contract: Contract, repeat: str) -> None:
    violation = found.violation
    click.echo(f"\nviolated: {violation.kind}\n{violation.seen} (expected: {violation.expected})\n")
    click.echo(draw(found.played.lines, contract, violation.lines))
    click.echo(f"\nRepeat: {repeat} --schedule {shlex.quote(str(found.played.schedule))}")
