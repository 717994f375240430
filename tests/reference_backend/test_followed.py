"""Whether a stream is still the one that was read: every case of what Redis has now."""

import pytest

from reference_backend.followed import Followed
from reference_backend.streams import Found


@pytest.fixture
def followed() -> Followed:
    """Read up to the tenth message of S."""
    made = Followed("S", 10)
    made.last = b"ten"
    return made


def test_a_stream_with_the_message_that_was_read_last_is_the_same_however_it_went_on(followed: Followed) -> None:
    assert followed.judge(Found("S", b"ten", 1, 10)) == "same"
    assert followed.judge(Found("S", b"ten", 1, 99)) == "same"


def test_a_stream_with_another_message_in_its_place_is_another(followed: Followed) -> None:
    assert followed.judge(Found("S", b"other", 1, 99)) == "other"


def test_another_id_is_another_stream_whatever_it_has(followed: Followed) -> None:
    assert followed.judge(Found("T", b"ten", 1, 10)) == "other"
    assert followed.judge(Found("T", None, 0, 0)) == "other"


def test_a_stream_that_was_trimmed_beyond_what_was_read_is_the_same(followed: Followed) -> None:
    assert followed.judge(Found("S", None, 40, 60)) == "same"


@pytest.mark.parametrize("last", [0, 7])
def test_a_stream_that_ends_before_what_was_read_has_lost_something_until_somebody_goes_on(
    followed: Followed, last: int
) -> None:
    first = min(1, last)
    assert [followed.judge(Found("S", None, first, last)) for _ in range(3)] == ["lost"] * 3
    assert followed.judge(Found("S", None, 1, last + 1)) == "other"


def test_a_stream_that_has_its_end_back_is_the_same(followed: Followed) -> None:
    assert followed.judge(Found("S", None, 1, 7)) == "lost"
    assert followed.judge(Found("S", b"ten", 1, 12)) == "same"


def test_a_stream_of_which_nothing_was_read_is_the_same() -> None:
    assert Followed("S", 0).judge(Found("S", None, 0, 0)) == "same"
    assert Followed("S", 0).judge(Found("S", None, 1, 3)) == "same"


def test_what_was_there_before_it_was_followed_need_only_be_there_still() -> None:
    assert Followed("S", 10).judge(Found("S", b"ten", 1, 10)) == "same"
    assert Followed("S", 10).judge(Found("S", None, 1, 9)) == "lost"


def test_a_stream_that_is_gone_is_gone(followed: Followed) -> None:
    assert followed.judge(Found(None, None, 0, 0)) == "gone"
