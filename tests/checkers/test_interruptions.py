"""Whether what is announced as unobserved is what is missing."""

import pytest
from checkers.endurance_story import Counted, moment
from checkers.script import Script

from limpet.checkers.agreement import stream_of
from limpet.checkers.connections import legs
from limpet.checkers.interruptions import SLACK_S, announced, of_stream

SILENT_S = 5.0
PACE = 10


class OneSession(Script):
    """A session with one watcher; `run` for so long, `silent` for so long."""

    def __init__(self) -> None:
        super().__init__("continuity")
        self.one = Counted(self, "x", [1])

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * PACE)):
            self.one.tick()
            self.wait(1 / PACE - 0.001)

    def silent(self, seconds: float) -> None:
        self.one.observed = False
        self.run(seconds)
        self.wait(int(seconds * PACE) * 0.001)  # nobody got a line

    def flaws(self) -> list[str]:
        stream = stream_of(legs(self.section()), undisturbed=False)
        return [flaw.seen for flaw in of_stream(stream)]


def around(*, silent_s: float = SILENT_S) -> OneSession:
    script = OneSession()
    script.run(3)
    script.silent(silent_s)
    return script


def test_what_fell_due_meanwhile_is_missing() -> None:
    script = around()
    script.one.announce()
    script.run(3)
    assert script.flaws() == []
    assert announced(stream_of(legs(script.section()), undisturbed=False)) == 1


def test_an_interruption_between_two_events_hides_nothing() -> None:
    script = around(silent_s=0)
    script.one.announce()
    script.run(3)
    assert script.flaws() == []


def test_events_that_were_announced_as_lost_and_came_are_a_flaw() -> None:
    script = around()
    script.one.announce()
    script.one.n -= int(SILENT_S * PACE)
    script.run(int(SILENT_S) + 3)
    assert "only 0 are missing" in script.flaws()[0]


def test_a_loss_that_is_longer_than_announced_is_a_flaw() -> None:
    script = around()
    script.one.announce(since_s=script.now_s - 0.5)
    script.run(3)
    assert "0.5 s were not observed" in script.flaws()[0]


@pytest.mark.parametrize("off_s", [-0.8 * SLACK_S, 0.8 * SLACK_S])
def test_a_little_more_or_less_is_none(off_s: float) -> None:
    script = around()
    script.one.announce()
    script.one.n += int(off_s * PACE)
    script.run(3)
    assert script.flaws() == []


def test_interruptions_in_a_row_count_together() -> None:
    script = around()
    half_s = script.now_s - SILENT_S / 2
    script.one.announce(until_s=half_s)
    script.one.announce(since_s=half_s)
    script.run(3)
    assert script.flaws() == []


@pytest.mark.parametrize("since_s", [100.0, None])
def test_times_that_say_nothing_are_a_flaw(since_s: float | None) -> None:
    script = around(silent_s=0)
    script.one.announce(since_s=since_s)
    if since_s is None:
        script.add("message", "interruption", 1, "x", script.one.seq + 1, since=moment(1))
        script.one.seq += 1
    script.run(3)
    assert len(script.flaws()) == 1
    assert "lasted from" in script.flaws()[0]


def test_what_came_before_is_not_known_after_a_hole() -> None:
    script = around()
    script.one.seq += 1  # which nobody got
    script.one.announce(since_s=script.now_s - 0.1)
    script.run(3)
    assert script.flaws() == []


def test_a_pace_that_nobody_could_tell_judges_nothing() -> None:
    script = OneSession()
    script.run(0.5)
    script.one.announce(since_s=0.0, until_s=60.0)
    script.run(0.5)
    assert script.flaws() == []
