"""Exploring finds what goes wrong, makes it simple without sliding into another fault, and ends when it is told to."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from limpet.checkers.interleavings import Judged, Violation
from limpet.errors import LimpetError
from limpet.races.explore import Exploration, explore
from limpet.races.play import Played
from limpet.races.schedule import Schedule

OPS = ("update", "delete", "read")
FOREIGN, UNLOCKED = "only the holder releases", "changes under the lock"


def foreign(schedule: Schedule) -> str:
    """As a plain DEL: one's lock has expired, and another went on."""
    steps = "".join(schedule.steps)
    return FOREIGN if any(f"{one}x{other}" in steps for one, other in ("AB", "BA")) else ""


def judgement(kind: str, doubt: str = "") -> Judged:
    return Judged("", (Violation(kind, "", "", ()),) if kind else (), doubt, 1)


class Fake:
    """Plays nothing; says what `wrong` says."""

    def __init__(self, wrong: Callable[[Schedule], str] = lambda _: "", doubt: str = "") -> None:
        self.played: list[Schedule] = []
        self._wrong = wrong
        self._doubt = doubt

    async def play(self, schedule: Schedule) -> Played:
        self.played.append(schedule)
        return Played(schedule, ())

    def judge(self, played: Played) -> Judged:
        return judgement(self._wrong(played.schedule), self._doubt)

    async def explore(
        self, *, seed: int = 1, schedules: int | None = 300, within_s: float | None = None
    ) -> Exploration:
        return await explore(
            self.play, self.judge, lanes="AB", ops=OPS, seed=seed, schedules=schedules, within_s=within_s
        )


async def test_what_goes_wrong_becomes_as_simple_as_it_can_be() -> None:
    exploration = await Fake(foreign).explore()
    (found,) = exploration.found.values()
    assert str(found.played.schedule) == "A:update B:update | A x B"
    assert exploration.shrinking > 0


async def test_each_fault_stays_what_it_is() -> None:
    def wrong(schedule: Schedule) -> str:
        return foreign(schedule) or (UNLOCKED if len(schedule.steps) > 2 else "")

    exploration = await Fake(wrong).explore()
    found = {kind: str(one.played.schedule) for kind, one in exploration.found.items()}
    assert found[UNLOCKED] == "A:update B:update | A A A"
    assert found.get(FOREIGN, "A:update B:update | A x B") == "A:update B:update | A x B"


async def test_nothing_wrong_means_so_many_schedules_and_no_more() -> None:
    fake = Fake()
    exploration = await fake.explore(schedules=120)
    assert (exploration.drawn, len(fake.played), exploration.found) == (120, 120, {})


async def test_every_schedule_calls_two_replicas_and_changes_something() -> None:
    fake = Fake()
    await fake.explore()
    assert all(len(one.lanes) == 2 and 2 <= len(one.calls) <= 4 for one in fake.played)
    assert all({"update", "delete"} & {op for _, op in one.calls} for one in fake.played)
    assert {len(one.calls) for one in fake.played} == {2, 3, 4}
    assert {step for one in fake.played for step in one.steps} == {"A", "B", "x"}


async def test_the_same_seed_draws_the_same() -> None:
    first, second, other = Fake(), Fake(), Fake()
    for fake, seed in ((first, 7), (second, 7), (other, 8)):
        await fake.explore(seed=seed, schedules=50)
    assert first.played == second.played != other.played


async def test_schedules_that_say_nothing_do_not_count() -> None:
    exploration = await Fake(doubt="MONITOR was lost").explore(schedules=None, within_s=0.3)
    assert exploration.drawn == 0
    assert set(exploration.doubtful) == {"MONITOR was lost"}


async def test_it_ends_when_the_time_is_over() -> None:
    exploration = await Fake().explore(schedules=None, within_s=0.3)
    assert exploration.drawn > 0


async def test_what_fails_in_the_harness_is_no_finding() -> None:
    async def play(_: Schedule) -> Played:
        raise LimpetError("the relay process is gone")

    with pytest.raises(LimpetError, match="the relay process is gone"):
        await explore(play, lambda _: judgement(""), lanes="AB", ops=OPS, seed=1, schedules=9)


async def test_one_that_is_cancelled_leaves_no_thread_behind() -> None:
    before, begun = threading.active_count(), asyncio.Event()

    async def play(schedule: Schedule) -> Played:
        begun.set()
        await asyncio.get_running_loop().create_future()
        return Played(schedule, ())

    exploring = asyncio.ensure_future(explore(play, lambda _: judgement(""), lanes="AB", ops=OPS, seed=1, schedules=9))
    await begun.wait()
    exploring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(exploring, 10)
    assert threading.active_count() <= before + 1  # the loop keeps one for the next


async def test_nothing_is_written_into_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await Fake().explore(schedules=20)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a moment, and an empty folder
