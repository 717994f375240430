"""Where a watcher begins: every case of what it asks for against what is kept."""

import pytest

from reference_backend.resume import Beginning, Kept, begin

WHOLE = Kept("S", first=1, last=10, ended=False)
TRIMMED = Kept("S", first=5, last=10, ended=False)
ENDED = Kept("S", first=1, last=10, ended=True)
EMPTY = Kept("S", first=1, last=0, ended=False)


@pytest.mark.parametrize("kept", [WHOLE, TRIMMED])
@pytest.mark.parametrize("stream", [None, "S", "other"])
def test_without_a_position_events_flow_from_now_on(kept: Kept, stream: str | None) -> None:
    assert begin(kept, stream, None) == Beginning(10, recovered=True)


@pytest.mark.parametrize("stream", [None, "S"])
@pytest.mark.parametrize("after", [0, 4, 10])
def test_what_is_kept_is_recovered(stream: str | None, after: int) -> None:
    assert begin(WHOLE, stream, after) == Beginning(after, recovered=True)


def test_the_first_position_before_which_nothing_is_missing_needs_no_gap() -> None:
    assert begin(TRIMMED, "S", 4) == Beginning(4, recovered=True)


def test_what_is_no_longer_kept_is_one_gap() -> None:
    assert begin(TRIMMED, "S", 2) == Beginning(2, recovered=False, gap=(3, 4))
    assert begin(TRIMMED, "S", 2).read_after == 4


def test_another_stream_is_not_recovered_and_begins_at_the_oldest() -> None:
    assert begin(WHOLE, "other", 7) == Beginning(0, recovered=False)
    assert begin(TRIMMED, "other", 7) == Beginning(0, recovered=False, gap=(1, 4))


def test_a_position_beyond_the_end_is_not_recovered_and_begins_at_the_oldest() -> None:
    assert begin(WHOLE, "S", 11) == Beginning(0, recovered=False)
    assert begin(EMPTY, "S", 1) == Beginning(0, recovered=False)


def test_an_empty_stream_is_recovered_from_its_beginning() -> None:
    assert begin(EMPTY, "S", 0) == Beginning(0, recovered=True)


def test_the_end_of_an_ended_stream_is_still_to_come() -> None:
    assert begin(ENDED, None, None) == Beginning(9, recovered=True)
    assert begin(ENDED, "S", 3) == Beginning(3, recovered=True)
