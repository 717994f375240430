"""A schedule's text names it; what is none is refused with what to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.errors import LimpetError
from limpet.races.schedule import EXPIRY, LANES, OPS, Schedule

calls = st.lists(st.tuples(st.sampled_from(LANES), st.sampled_from(OPS)), min_size=1, max_size=4)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    drawn = draw(calls)
    steps = st.sampled_from([*{lane for lane, _ in drawn}, EXPIRY])
    return Schedule(tuple(drawn), tuple(draw(st.lists(steps))))


@given(schedules())
def test_what_is_written_is_read_again(schedule: Schedule) -> None:
    assert Schedule.parse(str(schedule)) == schedule


def test_steps_may_stand_without_blanks() -> None:
    assert Schedule.parse("A:update B:delete |AAxB").steps == ("A", "A", "x", "B")


def test_lanes_are_those_that_are_called() -> None:
    assert Schedule.parse("C:read A:update C:read").lanes == ("A", "C")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with no calls"),
        ("| A x", "begins with no calls"),
        ("A:upsert B:read", "the calls read, update, delete, create"),
        ("E:read", "the replicas A, B, C, D"),
        ("A:read B:read | A C", "has the step 'C'"),
        ("A:read B:read | A expire", "has the step 'e'"),
    ],
)
def test_what_is_no_schedule_is_refused(text: str, says: str) -> None:
    with pytest.raises(LimpetError, match=says):
        Schedule.parse(text)
