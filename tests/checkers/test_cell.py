"""What a key of Redis may hold, by all that was seen of it: certain, or one of several things."""

from collections.abc import Callable

import pytest

from limpet.checkers.cell import MARGIN_US, Applied, Cell, Content
from limpet.checkers.redis_commands import Write

UNKNOWN = "?"
TTL_MS = 1000
END_US = TTL_MS * 1000


def write(kind: str, *, done: bool | None = True, ttl_ms: float | None = None, only_if: str = "") -> Write:
    return Write(kind=kind, done=done, ttl_ms=ttl_ms, only_if=only_if)  # type: ignore[arg-type]


def becomes(value: str) -> Callable[[str | None], str]:
    return lambda _: value


def held(value: str = "a", ttl_ms: float | None = None) -> Cell[str]:
    """A key that was empty, set at the moment 0."""
    cell = Cell(UNKNOWN, empty=True)
    cell.apply(write("set", ttl_ms=ttl_ms), 0, becomes(value))
    return cell


def apply(cell: Cell[str], what: Write, at_us: float = 0, value: str = "b") -> Applied[str]:
    return cell.apply(what, at_us, becomes(value))


def test_a_key_that_was_empty_holds_nothing() -> None:
    assert Cell(UNKNOWN, empty=True).values(0) == [None]


def test_a_key_of_which_nobody_knows_may_hold_nothing_or_anything() -> None:
    assert Cell(UNKNOWN, empty=False).values(0) == [None, UNKNOWN]


@pytest.mark.parametrize(
    ("moment_us", "values"),
    [
        (END_US - MARGIN_US, ["a"]),
        (END_US - MARGIN_US + 1, ["a", None]),
        (END_US + MARGIN_US - 1, ["a", None]),
        (END_US + MARGIN_US, [None]),
    ],
)
def test_round_its_expiry_it_may_hold_both(moment_us: int, values: list[str | None]) -> None:
    assert held(ttl_ms=TTL_MS).values(moment_us) == values


def test_the_time_to_live_begins_with_the_command() -> None:
    cell = held()
    apply(cell, write("set", ttl_ms=TTL_MS), 5)
    assert cell.at(5) == [Content("b", 5 + END_US)]


def test_without_a_time_to_live_it_stays_for_ever() -> None:
    assert held().at(10**12) == [Content("a", None)]


def test_nothing_is_named_once_where_several_contents_may_have_expired() -> None:
    cell = held(ttl_ms=TTL_MS)
    apply(cell, write("set", done=None, ttl_ms=TTL_MS, only_if="equal"), 0)
    assert cell.values(END_US) == ["b", None, "a"]


def test_a_write_of_unknown_outcome_with_a_condition_leaves_both() -> None:
    cell = held()
    applied = apply(cell, write("set", done=None, only_if="equal"))
    assert applied == Applied(done=None, before=("a",), kept=("a",), impossible=False)
    assert cell.values(0) == ["b", "a"]


def test_a_condition_that_cannot_hold_leaves_it_as_it_was() -> None:
    cell = held()
    applied = apply(cell, write("set", done=None, only_if="absent"))
    assert applied == Applied(done=False, before=(), kept=("a",), impossible=False)
    assert cell.values(0) == ["a"]


@pytest.mark.parametrize("only_if", ["present", "equal"])
def test_what_needs_a_value_does_nothing_to_an_empty_key(only_if: str) -> None:
    cell = Cell(UNKNOWN, empty=True)
    assert apply(cell, write("set", done=None, only_if=only_if)).done is False
    assert cell.values(0) == [None]


def test_what_needs_a_value_is_done_where_there_is_one() -> None:
    cell = held()
    assert apply(cell, write("set", done=None, only_if="present")) == Applied(
        done=True, before=("a",), kept=(), impossible=False
    )
    assert cell.values(0) == ["b"]


def test_a_reply_that_says_done_where_it_could_not_be_is_impossible_and_believed() -> None:
    cell = held()
    applied = apply(cell, write("set", only_if="absent"))
    assert applied == Applied(done=True, before=(None,), kept=(), impossible=True)
    assert cell.values(0) == ["b"]


def test_a_reply_that_says_not_done_where_it_had_to_be_is_impossible_and_believed() -> None:
    cell = held()
    applied = apply(cell, write("drop", done=False))
    assert applied == Applied(done=False, before=(), kept=("a",), impossible=True)
    assert cell.values(0) == ["a"]


def test_a_reply_tells_which_of_two_it_was() -> None:
    taken, free = held(ttl_ms=TTL_MS), held(ttl_ms=TTL_MS)
    assert apply(taken, write("set", done=False, only_if="absent"), END_US) == Applied(
        done=False, before=(), kept=("a",), impossible=False
    )
    assert apply(free, write("set", done=True, only_if="absent"), END_US) == Applied(
        done=True, before=(None,), kept=(), impossible=False
    )
    assert taken.values(END_US - MARGIN_US) == ["a"]
    assert free.values(END_US) == ["b"]


@pytest.mark.parametrize("kind", ["drop", "expire", "persist"])
def test_an_empty_key_cannot_be_dropped_nor_its_time_changed(kind: str) -> None:
    assert apply(Cell(UNKNOWN, empty=True), write(kind, ttl_ms=TTL_MS)).impossible
    assert apply(Cell(UNKNOWN, empty=True), write(kind, done=None, ttl_ms=TTL_MS)).done is False


def test_a_key_is_empty_when_it_was_dropped() -> None:
    cell = held()
    apply(cell, write("drop"))
    assert cell.at(0) == [Content()]


@pytest.mark.parametrize("ttl_ms", [0, -1])
def test_a_time_that_is_over_drops_it(ttl_ms: float) -> None:
    cell = held()
    apply(cell, write("expire", ttl_ms=ttl_ms))
    assert cell.at(0) == [Content()]


def test_a_time_that_is_not_over_keeps_its_value() -> None:
    cell = held()
    apply(cell, write("expire", ttl_ms=1), 7)
    assert cell.at(7) == [Content("a", 1007), Content()]


def test_a_value_may_be_set_that_lives_no_time_and_is_no_drop() -> None:
    cell = held()
    apply(cell, write("set", ttl_ms=0))
    assert cell.at(0) == [Content("b", 0), Content()]


def test_persist_lets_it_live_for_ever() -> None:
    cell = held(ttl_ms=TTL_MS)
    assert apply(cell, write("persist")).impossible is False
    assert cell.at(END_US * 2) == [Content("a", None)]


def test_persist_of_what_lives_for_ever_does_nothing() -> None:
    assert apply(held(), write("persist", done=True)).impossible
    assert not apply(held(), write("persist", done=False)).impossible
    assert apply(held(), write("persist", done=None)).done is True


def test_an_expire_may_be_without_effect_when_its_reply_says_so() -> None:
    assert not apply(held(), write("expire", done=False, ttl_ms=TTL_MS)).impossible
    assert apply(held(), write("expire", done=None, ttl_ms=TTL_MS)).done is True


def test_a_count_makes_the_new_out_of_the_old() -> None:
    cell = held("1")
    cell.apply(Write(kind="count", done=True, keeps_ttl=True), 0, lambda old: f"{old}+1")
    assert cell.values(0) == ["1+1"]


def test_keeping_the_time_to_live_keeps_its_end() -> None:
    cell = held(ttl_ms=TTL_MS)
    cell.apply(Write(kind="set", done=True, keeps_ttl=True), 5, becomes("b"))
    assert cell.at(5) == [Content("b", END_US)]


def test_what_is_not_followed_leaves_anything() -> None:
    cell = held()
    apply(cell, write("other"))
    assert cell.values(0) == [UNKNOWN]
