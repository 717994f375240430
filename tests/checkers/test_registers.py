from functools import cache
from math import inf

import pytest
from checkers import written
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.checkers.registers import Access, Kind, WrittenTwiceError, check

ABSENT, GONE = "absent", "gone"


def legal(accesses: list[Access]) -> bool:
    """Exhaustive search over all orders, after Wing and Gong; the oracle for small histories."""
    must = [a for a in accesses if a.outcome == "ok"]
    may = [a for a in accesses if a.outcome == "info" and a.kind in ("write", "delete")]
    every = must + may
    ends = [a.end if a.outcome == "ok" else inf for a in every]
    needed = frozenset(range(len(must)))

    @cache
    def search(done: frozenset[int], state: object) -> bool:
        if needed <= done:
            return True
        left = [i for i in range(len(every)) if i not in done]
        earliest_end = min(ends[i] for i in left)
        return any(
            search(done | {i}, after)
            for i in left
            if every[i].start <= earliest_end
            for after in [step(every[i], state, first=every[i] is create)]
            if after is not None
        )

    create = next((a for a in every if a.kind == "write"), None)
    return search(frozenset(), ABSENT)


def step(access: Access, state: object, *, first: bool) -> object | None:
    """The state after `access`, None where it cannot happen."""
    there = state not in (ABSENT, GONE)
    match access.kind:
        case "write":
            return access.value if (state == ABSENT) == first and state != GONE else None
        case "read":
            return state if state == access.value else None
        case "delete":
            return GONE if there else None
        case "absent":
            return None if there else state
        case "present":
            return state if there else None


def seen(accesses: list[Access]) -> list[str]:
    """Why it is illegal; with what shows it, it is written down (checkers/written.py)."""
    found = check(accesses)
    written.same([[one.why, *([a.kind, a.start, a.end, a.value, a.outcome] for a in one.accesses)] for one in found])
    return [illegal.why for illegal in found]


def write(value: int, start: float, end: float, outcome: str = "ok") -> Access:
    return Access("write", start, end, value, outcome)  # type: ignore[arg-type]  # one of the three


def read(value: int, start: float, end: float) -> Access:
    return Access("read", start, end, value)


def plain(kind: Kind, start: float, end: float) -> Access:
    return Access(kind, start, end)


def test_reads_in_the_order_of_writes_are_legal() -> None:
    assert seen([write(0, 0, 1), read(0, 2, 3), write(1, 4, 5), read(1, 6, 7)]) == []


def test_concurrent_reads_may_see_either_value() -> None:
    assert seen([write(0, 0, 1), write(1, 2, 9), read(0, 3, 4), read(1, 5, 6), read(1, 10, 11)]) == []


def test_a_stale_read_is_illegal() -> None:
    assert "must each have come before the other" in seen([write(0, 0, 1), write(1, 2, 3), read(0, 4, 5)])[0]


def test_a_value_seen_and_then_unseen_is_illegal() -> None:
    assert seen([write(0, 0, 1), write(1, 2, 9), read(1, 3, 4), read(0, 5, 6)])


def test_two_readers_that_disagree_about_the_order_are_illegal() -> None:
    story = [write(0, 0, 1), write(1, 2, 20), write(2, 2, 20)]
    assert seen([*story, read(1, 3, 4), read(2, 5, 6), read(1, 7, 8)])


def test_a_write_of_unknown_outcome_may_be_seen_late_or_never() -> None:
    assert seen([write(0, 0, 1), write(1, 2, 3, "info"), read(0, 4, 5), read(1, 6, 7)]) == []
    assert seen([write(0, 0, 1), write(1, 2, 3, "info"), read(0, 4, 5)]) == []


def test_a_write_of_unknown_outcome_that_was_seen_stays() -> None:
    assert seen([write(0, 0, 1), write(1, 2, 3, "info"), read(1, 4, 5), read(0, 6, 7)])


def test_a_refused_write_that_is_read_is_a_finding_of_its_own() -> None:
    assert "refused" in seen([write(0, 0, 1), write(1, 2, 3, "fail"), read(1, 4, 5)])[0]


def test_a_value_from_nowhere_is_a_finding_of_its_own() -> None:
    assert "nobody wrote" in seen([write(0, 0, 1), read(7, 2, 3)])[0]


def test_a_value_read_before_its_write_is_a_finding_of_its_own() -> None:
    assert "before that was written" in seen([write(0, 0, 1), read(1, 2, 3), write(1, 4, 5)])[0]


def test_absence_before_and_after_is_legal() -> None:
    story = [plain("absent", 0, 1), write(0, 2, 3), plain("present", 4, 5), plain("delete", 6, 7)]
    assert seen([*story, plain("absent", 8, 9)]) == []


def test_absence_of_what_was_acknowledged_is_illegal() -> None:
    assert seen([write(0, 0, 1), plain("absent", 2, 3)])


def test_a_list_that_still_shows_the_deleted_is_illegal() -> None:
    assert "there again" in seen([write(0, 0, 1), plain("delete", 2, 3), plain("present", 4, 5)])[0]


def test_two_acknowledged_deletes_are_illegal() -> None:
    assert "deleted twice" in seen([write(0, 0, 1), plain("delete", 2, 3), plain("delete", 4, 5)])[0]


def test_a_delete_of_unknown_outcome_may_have_happened_or_not() -> None:
    doubtful = Access("delete", 2, 3, outcome="info")
    assert seen([write(0, 0, 1), doubtful, plain("present", 4, 5), plain("absent", 6, 7)]) == []
    assert seen([write(0, 0, 1), doubtful, plain("absent", 4, 5), plain("present", 6, 7)])


def test_equal_values_are_refused() -> None:
    with pytest.raises(WrittenTwiceError, match="written twice"):
        check([write(1, 0, 1), write(1, 2, 3)])


@pytest.mark.parametrize("failed_first", [True, False])
def test_a_write_that_was_refused_and_is_tried_again_is_one(failed_first: bool) -> None:  # noqa: FBT001  parametrized
    tries = [write(1, 2, 3, "fail"), write(1, 4, 5)]
    tries = tries if failed_first else [write(1, 2, 3), write(1, 4, 5, "fail")]
    assert seen([write(0, 0, 1), *tries, read(1, 6, 7)]) == []
    assert seen([write(0, 0, 1), *tries, read(0, 6, 7)])


def test_operations_may_be_told_in_any_order() -> None:
    story = [write(0, 0, 1), write(1, 2, 9), read(0, 3, 4), read(1, 5, 6), read(0, 10, 11)]
    assert seen(story) == seen(story[::-1]) != []


def test_what_ends_in_the_moment_in_which_another_begins_overlaps_it() -> None:
    first = write(0, 0, 1)
    assert seen([first, write(1, 2, 3), read(0, 3, 4)]) == []
    assert seen([first, read(1, 2, 4), write(1, 4, 5)]) == []
    assert seen([first, plain("absent", 1, 2)]) == []
    assert seen([first, plain("delete", 2, 3), plain("present", 3, 4)]) == []
    assert seen([write(0, 0, 9), plain("present", 1, 5), plain("absent", 5, 6)]) == []
    assert seen([write(0, 0, 9), plain("present", 1, 5), plain("absent", 6, 7)])
    assert seen([first, write(1, 2, 3), write(2, 2, 3), read(1, 4, 5), read(2, 5, 6), read(1, 6, 7)])
    assert seen([first, write(1, 2, 20), write(2, 2, 20), read(1, 3, 5), read(2, 5, 7), read(1, 7, 8)]) == []
    assert seen([first, write(1, 2, 20), write(2, 2, 20), read(1, 3, 4), read(2, 4, 7), read(1, 7, 8)]) == []
    assert seen([first, write(1, 2, 20), write(2, 2, 20), read(1, 3, 4), read(2, 4, 7), read(1, 4, 8)]) == []


def test_of_unknown_deletes_the_earliest_stands_for_all() -> None:
    late, early = Access("delete", 6, 7, outcome="info"), Access("delete", 2, 3, outcome="info")
    for deletes in ([late, early], [early, late]):
        assert seen([write(0, 0, 1), *deletes, plain("absent", 4, 5)]) == []
        assert seen([write(0, 0, 1), *deletes, plain("absent", 4, 5), plain("present", 6, 7)])


def test_a_refused_delete_did_not_happen() -> None:
    refused = Access("delete", 2, 3, outcome="fail")
    assert seen([write(0, 0, 1), refused, read(0, 4, 5), plain("present", 4, 5)]) == []
    assert seen([write(0, 0, 1), refused, plain("absent", 4, 5)])


def test_looks_that_came_to_nothing_say_nothing() -> None:
    for outcome in ("fail", "info"):
        looks = [Access("read", 2, 3, 7, outcome), Access("absent", 2, 3, None, outcome)]
        assert seen([write(0, 0, 1), *looks, Access("present", 2, 3, None, outcome)]) == []


def test_a_read_of_the_deleted_is_illegal_and_an_absence_before_its_delete() -> None:
    deleted = [write(0, 0, 1), plain("delete", 4, 5)]
    assert seen([*deleted, read(0, 2, 3)]) == []
    assert seen([*deleted, read(0, 6, 7)])
    assert seen([*deleted, plain("absent", 2, 3)])
    assert seen([*deleted, plain("absent", 2, 5), plain("absent", 4, 6)]) == []


def test_every_contradiction_is_told() -> None:
    story = [write(0, 0, 1), write(1, 2, 3), read(0, 4, 5), write(2, 6, 7), write(3, 8, 9), read(2, 10, 11)]
    assert len(seen(story)) == 2
    assert len(seen([write(0, 0, 1), write(1, 2, 3), write(2, 4, 5), write(3, 14, 15), read(0, 12, 13)])) == 2


def test_a_zone_is_compared_with_the_one_that_reaches_furthest() -> None:
    long, short = [write(1, 2, 3), read(1, 20, 21)], [write(2, 4, 40), read(2, 5, 6), read(2, 8, 9)]
    assert len(seen([write(0, 0, 1), *long, *short, write(3, 14, 15)])) == 2


def test_the_first_of_two_creates_is_the_create() -> None:
    story = [write(1, 4, 5), write(0, 0, 1), plain("absent", 2, 3)]
    assert seen(story)
    assert seen(story[::-1])
    assert seen([write(0, 0, 1, "info"), write(1, 4, 5), plain("absent", 2, 3)]) == []


def test_an_absence_that_may_have_been_before_the_create_proves_no_delete() -> None:
    doubtful, long = Access("delete", 10, 11, outcome="info"), plain("absent", 2, 20)
    story = [write(1, 4, 5), doubtful, long, plain("present", 25, 26)]
    assert seen(story) == []
    assert seen([write(0, 0, 1, "info"), *story]) == seen([*story, write(0, 0, 1, "info")]) == []
    assert seen([write(1, 4, 5), plain("delete", 10, 11), long, plain("absent", 6, 7)])


def test_the_acknowledged_delete_counts_beside_one_of_unknown_outcome() -> None:
    deletes = [Access("delete", 2, 3, outcome="info"), plain("delete", 8, 9)]
    assert seen([write(0, 0, 1), *deletes, plain("present", 10, 11)])
    assert seen([write(0, 0, 1), *deletes, plain("present", 4, 5)]) == []


def test_of_many_deletes_two_are_shown() -> None:
    assert seen([write(0, 0, 1), *(plain("delete", 2 * n, 2 * n + 1) for n in range(1, 5))])


def test_a_write_that_was_under_way_is_read_no_more_after_the_delete() -> None:
    assert seen([write(0, 0, 1), write(1, 2, 20), plain("delete", 4, 5), read(1, 8, 9)])
    assert seen([write(0, 0, 1), write(1, 2, 20), plain("delete", 4, 9), read(1, 8, 9)]) == []


def test_a_value_from_nowhere_hides_nothing_else() -> None:
    assert len(seen([read(7, 0, 1), write(0, 2, 3), write(1, 4, 5), read(0, 6, 7)])) == 2


def test_a_read_that_began_before_its_write_cannot_have_been_earlier_than_that() -> None:
    assert seen([write(0, 0, 3), read(1, 2, 20), write(1, 4, 5), read(0, 6, 7)])
    assert seen([write(0, 0, 3), read(1, 2, 20), write(1, 4, 7), read(0, 6, 7)]) == []


def test_values_that_touch_follow_each_other() -> None:
    assert seen([write(0, 0, 1), read(0, 5, 6), write(1, 2, 5), read(1, 9, 10)]) == []
    assert seen([write(0, 0, 1), read(0, 6, 7), write(1, 2, 5), read(1, 9, 10)])


@st.composite
def histories(draw: st.DrawFn) -> list[Access]:
    """Small histories of a record that nobody can know before its create began."""
    moments = st.integers(0, 14)

    def span(after: int = 0) -> tuple[int, int]:
        start = after + draw(moments)
        return start * 2, (start + draw(st.integers(0, 6))) * 2 + 1

    accesses = [Access("write", 0, 2 * draw(st.integers(0, 4)) + 1, 0)]
    for value in range(1, 1 + draw(st.integers(0, 3))):
        start, end = span(6)
        accesses.append(Access("write", start, end, value, draw(st.sampled_from(["ok", "ok", "info"]))))
    for _ in range(draw(st.integers(0, 5))):
        start, end = span()
        kind: Kind = draw(st.sampled_from(["read", "read", "absent", "present"]))
        accesses.append(Access(kind, start, end, draw(st.integers(0, 3)) if kind == "read" else None))
    if draw(st.booleans()):
        start, end = span(6)
        accesses.append(Access("delete", start, end, None, draw(st.sampled_from(["ok", "info"]))))
    return accesses


@settings(max_examples=1500, deadline=None)
@given(histories())
def test_it_agrees_with_exhaustive_search(accesses: list[Access]) -> None:
    assert (not check(accesses)) == legal(accesses)
