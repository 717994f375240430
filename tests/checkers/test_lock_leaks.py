"""Which locks were left behind, and what excuses it."""

import pytest
from checkers.redis_story import LEAKS, A, B, RedisStory
from checkers.replay_story import found, sections

from limpet.contract import Contract


def left(*, disturb: tuple[str, str, str] = ("", "", ""), wait_s: float = 0) -> RedisStory:
    """A's lock is left to its expiry, after or in a disturbance: its kind, how it begins and how it ends."""
    one = sections()
    kind, begin, end = disturb
    if kind:
        one.note(kind, begin, pod=A)
        one.note(kind, begin, pod=A)
    if end:
        one.wait(1)
        one.note(kind, end, pod=A)
    one.wait(wait_s)
    one.acquire(A, "s", "token-of-a")
    one.wait(11)
    one.do(B, "GET session:s", reply=None)
    return one


@pytest.mark.parametrize(
    ("disturb", "wait_s", "right"),
    [
        (("", "", ""), 0, False),
        (("pause", "begin", ""), 20, True),
        (("pause", "begin", "end"), 1.9, True),
        (("pause", "begin", "end"), 2.1, False),
        (("link", "Hold", ""), 20, True),
        (("link", "Hold", "pass"), 1.9, True),
        (("link", "Hold", "pass"), 2.1, False),
        (("pause", "end", "end"), 0, False),
        (("link", "pass", "pass"), 0, False),
        (("other", "begin", ""), 0, False),
    ],
)
def test_a_lock_that_nothing_held_up_is_found_when_it_is_left(
    gadget: Contract, disturb: tuple[str, str, str], wait_s: float, *, right: bool
) -> None:
    found(left(disturb=disturb, wait_s=wait_s).judged(), gadget, *([] if right else [LEAKS]))


def test_what_disturbs_another_or_comes_later_is_no_excuse(gadget: Contract) -> None:
    one = sections()
    one.note("pause", "begin", pod=B)
    one.acquire(A, "s", "token-of-a")
    one.wait(11)
    one.note("pause", "begin", pod=A)
    one.do(B, "GET session:s", reply=None)
    found(one.judged(), gadget, LEAKS)


def test_a_lock_that_is_left_at_the_end_is_found(gadget: Contract) -> None:
    found(sections().judged(left={"lock:session:s": -1, "lock:session:t": 1500}), gadget, LEAKS)
    one = sections()
    one.op("locks", value={"lock:session:s": 0})
    found(one.judged(), gadget)  # it was gone at the last look
    one.op("locks", value={"lock:session:s": 0})
    found(one.section(), gadget, LEAKS)
    one.op("locks", value={}, type_="fail")
    found(one.section(), gadget, LEAKS)
