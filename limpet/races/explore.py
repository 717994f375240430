"""Looks for a schedule that goes wrong, and for the simplest one that goes wrong in the same way: by Hypothesis.

Hypothesis calls what it tests, and cannot be awaited; so it works in a thread of its own and hands each schedule to the
event loop. What goes wrong in another way is another error to it, or shrinking would slide from one bug into the next.
What it finds is kept here as it was played, since a schedule names itself by its text and not by a seed.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from limpet.checkers.interleavings import KINDS, Judged, Violation
from limpet.clock import Deadline
from limpet.races.play import Played
from limpet.races.schedule import EXPIRY, Schedule

CALLS_MORE_MAX = 2  # beside the two that there are at least
STEPS_MAX = 16
SHRINK_S = 60.0
ENDLESS = 1_000_000

Play = Callable[[Schedule], Awaitable[Played]]


class _ViolatedError(Exception):
    """A schedule went wrong."""


class _StoppedError(BaseException):
    """Enough, or the harness failed: nothing that Hypothesis should look into."""


_ERRORS = {kind: type(f"_Violated_{number}", (_ViolatedError,), {}) for number, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Found:
    """A schedule that went wrong, and what is gravest in it."""

    played: Played
    violation: Violation


@dataclass(slots=True)
class Exploration:
    """How far it has come.

    Attributes:
        drawn: schedules that were drawn and say something; `doubtful`: those that say nothing, and why.
        acquired: how often a lock was acquired in them.
        shrinking: schedules that were tried to make one simpler.
        found: kind of violation -> the simplest schedule that shows it, so far.
    """

    drawn: int = 0
    doubtful: list[str] = field(default_factory=list)
    acquired: int = 0
    shrinking: int = 0
    found: dict[str, Found] = field(default_factory=dict)

    def take(self, played: Played, judged: Judged) -> str:
        """One more; the kind of its gravest violation, "" where it has none."""
        if judged.doubt:
            self.doubtful.append(judged.doubt)
        elif self.found:
            self.shrinking += 1
        else:
            self.drawn += 1
        self.acquired += judged.acquired
        for violation in judged.violations[:1]:
            before = self.found.get(violation.kind)
            if before is None or played.schedule.size < before.played.schedule.size:
                self.found[violation.kind] = Found(played, violation)
            return violation.kind
        return ""


async def explore(
    play: Play,
    judge: Callable[[Played], Judged],
    *,
    lanes: Sequence[str],
    ops: Sequence[str],
    seed: int,
    schedules: int | None = None,
    within_s: float | None = None,
    shrink_s: float = SHRINK_S,
    told: Callable[[Exploration], None] = lambda _: None,
) -> Exploration:
    """Draw so many schedules, or as many as there is time for, until one goes wrong; then look for simpler ones.

    Args:
        play: carries out a schedule; what it raises is raised.
        judge: says what went wrong; called in the other thread, while the next schedule is prepared.
        lanes: the replicas.
        ops: what they can be asked.
        seed: of what is drawn.
        schedules: how many that say something.
        within_s: the time for drawing.
        shrink_s: the time for looking for simpler ones.
        told: called after each.
    """
    loop = asyncio.get_running_loop()
    exploration = Exploration()
    deadline = Deadline(within_s) if within_s else None
    shrinking: list[Deadline] = []
    failures: list[BaseException] = []
    playing: set[asyncio.Task[Any]] = set()

    async def guarded(schedule: Schedule) -> Played:
        if failures:
            raise asyncio.CancelledError  # it was handed over when all had been cancelled already
        task = asyncio.current_task()
        assert task is not None  # run_coroutine_threadsafe() makes one
        playing.add(task)
        task.add_done_callback(playing.discard)
        return await play(schedule)

    def one(schedule: Schedule) -> None:
        over = deadline if not exploration.found else next(iter(shrinking), None)
        enough = schedules is not None and exploration.drawn >= schedules and not exploration.found
        if failures or enough or (over and over.passed()):
            raise _StoppedError
        try:
            played = asyncio.run_coroutine_threadsafe(guarded(schedule), loop).result()
            judged = judge(played)
        except (Exception, CancelledError) as failure:
            failures.append(failure)
            raise _StoppedError from failure
        kind = exploration.take(played, judged)
        loop.call_soon_threadsafe(told, exploration)
        if kind:
            shrinking.append(shrinking[0] if shrinking else Deadline(shrink_s))
            raise _ERRORS[kind](kind)

    searching = asyncio.ensure_future(asyncio.to_thread(_search, one, lanes, ops, seed))
    try:
        await asyncio.shield(searching)
    except asyncio.CancelledError:
        failures.append(_StoppedError())
        for task in playing:
            task.cancel()
        await asyncio.wait([searching])
        raise
    if failures:
        raise failures[0]
    return exploration


def _search(one: Callable[[Schedule], None], lanes: Sequence[str], ops: Sequence[str], seed: int) -> None:
    """Have Hypothesis draw and shrink. It is imported here, since that takes half a second."""
    import hypothesis  # noqa: PLC0415
    from hypothesis import strategies as st  # noqa: PLC0415
    from hypothesis.errors import Flaky  # noqa: PLC0415

    @st.composite
    def schedule(draw: st.DrawFn) -> Schedule:
        first = draw(st.sampled_from(lanes))
        second = draw(st.sampled_from([lane for lane in lanes if lane != first]))
        more = draw(st.lists(st.sampled_from(lanes), max_size=CALLS_MORE_MAX))
        changes = [op for op in ops if op in ("update", "delete")]
        calls = [(first, draw(st.sampled_from(changes)))]
        calls += [(lane, draw(st.sampled_from([*changes, *ops]))) for lane in (second, *more)]
        steps = [*sorted({lane for lane, _ in calls}), EXPIRY]
        length = draw(st.integers(0, STEPS_MAX))
        return Schedule(tuple(calls), tuple(draw(st.sampled_from(steps)) for _ in range(length)))

    test = hypothesis.given(schedule())(one)
    test = hypothesis.settings(
        database=None,
        deadline=None,
        max_examples=ENDLESS,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )(test)
    test = hypothesis.seed(seed)(test)
    with _home(), suppress(_ViolatedError, _StoppedError, Flaky, BaseExceptionGroup):
        test()


@contextmanager
def _home() -> Iterator[None]:
    """Hypothesis would write what it knows of the code into the user's folder."""
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="limpet-hypothesis-") as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)
