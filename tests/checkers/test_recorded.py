"""Events of streams and of histories, made comparable."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from checkers.script import Script

from limpet.checkers.recorded import (
    NO_EVENTS,
    Event,
    alike,
    begins,
    events,
    gaps,
    in_order,
    items,
    matched,
    once,
    recorded,
    silence_s,
    streamed,
    unique,
)
from limpet.contract import Contract


def event(payload: str, seq: int | None = None, count: int | None = None, *, announced: bool = False) -> Event:
    return Event(payload, seq, count, announced)


def texts(*payloads: str) -> list[Event]:
    return [event(payload) for payload in payloads]


def test_what_watchers_got_is_told_by_session_and_watcher() -> None:
    one = Script("history")
    one.add("message", "event", 1, "s", 7, payload={"b": 1, "a": 2}, n=3)
    one.add("message", "event", 2, "s", "7", payload=1, n="x")
    one.add("message", "event", 1, "t", None, payload="other", of="s")
    one.add("message", "event", 1, "t", 8)
    one.add("message", "gap", 1, "t", 9, payload=1)
    section = one.section()
    own = {"s": {1: [Event('{"a": 2, "b": 1}', 7, 3, line=2)], 2: [Event("1", line=3)]}}
    assert streamed(section, own=True) == own
    assert streamed(section, own=False) == {**own, "t": {1: [Event('"other"', line=4)]}}


def test_numbered_events_are_put_in_order_and_others_left_out() -> None:
    assert in_order([event("c", 3), event("x"), event("b", 1), event("a", 0)]) == [
        *(event("a", 0), event("b", 1), event("c", 3)),
    ]


def watched(*, closed_after_s: float = 0, connected: str = "ok") -> Script:
    """A watcher that gets an event a second after its connect, is closed, and two more seconds."""
    one = Script("history")
    one.op("connect", 1, "s", type_=connected)
    one.wait(0.999)
    one.add("message", "event", 1, "s", payload=1)
    if closed_after_s:
        one.wait(closed_after_s - 0.001)
        one.add("closed", "", 1, "s")
    one.wait(1.999)
    return one


def test_the_longest_silence_is_from_event_to_event_close_or_end() -> None:
    assert silence_s(watched().section()) == pytest.approx(2.0)
    assert silence_s(watched(closed_after_s=0.5).section()) == pytest.approx(1.0)
    assert silence_s(watched(closed_after_s=1.5).section()) == pytest.approx(1.5)
    other = watched(closed_after_s=0.5)
    other.add("message", "event", 2, "s", payload=1)  # of one that never connected
    other.add("message", "event", 1, "s", payload=1)  # and of one that is closed
    assert silence_s(other.section()) == pytest.approx(1.0)


def test_a_short_silence_is_as_short_as_it_is() -> None:
    one = Script("history")
    one.op("connect", 1, "s")
    one.wait(0.499)
    assert silence_s(one.section()) == pytest.approx(0.5)


def test_only_who_connected_waits() -> None:
    one = Script("history")
    one.op("connect", 1, "s")
    one.add("message", "event", 2, "s", payload=1)
    one.add("closed", "", 3, "s")
    for _ in range(3):
        one.wait(0.998)
        one.add("message", "event", 1, "s", payload=1)
    assert silence_s(one.section()) == pytest.approx(1.0, abs=0.01)


def test_what_is_no_event_breaks_no_silence() -> None:
    one = watched()
    one.add("message", "gap", 1, "s")
    one.wait(0.999)
    assert silence_s(one.section()) == pytest.approx(3.0)


def test_without_a_watcher_there_is_nothing_but_silence() -> None:
    assert silence_s(Script("history").section()) == inf
    assert silence_s(watched(connected="fail").section()) == inf


def test_an_answer_has_its_events_whatever_they_are_wrapped_in(gadget: Contract) -> None:
    one = Script("history")
    one.op("history", 1, "s", [{"data": 1}])
    one.add("invoke", "history", 1, "s")
    answered, lost = one.section().ops("history")
    assert recorded(answered, gadget) == [event("1")]
    assert recorded(lost, gadget) == recorded(None, gadget) == []
    wrapped: list[Any] = [
        [{"data": 1}],
        {"events": [{"data": 1}], "other": []},
        {"other": [], "events": [{"data": 1}]},
        {"size": 1, "found": [{"data": 1}], "more": [2]},
    ]
    for body in wrapped:
        assert events(body, gadget) == [event("1")]
    nothing: list[Any] = [None, "text", {}, {"size": 1}, 7]
    assert [items(body) for body in nothing] == [[]] * 5


def test_an_event_is_numbered_and_counted_as_the_contract_says(
    gadget: Contract, guide: Contract, bare: Contract
) -> None:
    body = [{"seq": 4, "data": {"n": 2, "b": 0}}, {"seq": True, "data": {"n": "2"}}, {"n": 9}, {"data": [1]}]
    payloads = ['{"b": 0, "n": 2}', '{"n": "2"}', '{"n": 9}', "[1]"]
    assert events(body, gadget) == [
        *(event(payloads[0], 4, 2), event(payloads[1]), event(payloads[2], None, 9), event(payloads[3])),
    ]
    for contract in (guide, bare):
        assert events(body, contract) == texts(*payloads)


def test_what_is_no_event_is_left_out_and_an_interruption_announces_the_next(gadget: Contract) -> None:
    for type_ in NO_EVENTS:
        body: list[Any] = [1, {"type": type_}, {"type": "subscribed"}, 2, 3]
        after = event("2", announced=type_ == "interruption")
        assert events(body, gadget) == [event("1"), after, event("3")]
    assert events([{"type": "gap", "data": 1}, {"type": "else"}], gadget) == texts("1", '{"type": "else"}')


def test_numbers_count_only_where_all_have_one() -> None:
    numbered, mixed = [event("a", 1, 7)], [event("a", 1), event("b")]
    assert alike(numbered, [event("a", 1)]) == [numbered, [event("a", 1)]]
    assert alike(numbered, mixed) == [[event("a", None, 7)], texts("a", "b")]
    assert alike([], []) == [[], []]


def test_what_is_there_again_counts_once_where_it_can_be_told() -> None:
    twice = [event("a", 1), event("b", 2), event("a", 1)]
    assert once(twice) == twice[:2]
    assert once(texts("a", "a")) == texts("a", "a")
    counted = [event("a", count=1), event("a", count=1), event("b", count=2)]
    assert (once(counted), unique(counted)) == (counted[1:], True)
    assert not unique([event("a", 1), event("b")])


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([1, 2, 3], []),
        ([1, 3], [(1, 3)]),
        ([2, 3], [(0, 2)]),
        ([3, 1, 3, 7], [(1, 3), (3, 7)]),
        ([], []),
    ],
)
def test_a_jump_in_the_count_is_a_gap(counts: list[int], found: list[tuple[int, int]]) -> None:
    assert gaps([event("a", count=count) for count in counts]) == found


def test_an_announced_jump_is_none() -> None:
    several = [event("a", count=1), event("b", count=5, announced=True), event("c"), event("d", count=9)]
    assert gaps(several) == [(5, 9)]


def keys(payloads: str) -> list[tuple[None, str]]:
    return [(None, payload) for payload in payloads]


@pytest.mark.parametrize(
    ("history", "got", "missing", "window"),
    [
        ("abcd", "bc", "", "bc"),
        ("abcd", "bd", "", "bcd"),
        ("abcd", "bxd", "x", "bcd"),
        ("abcd", "db", "", None),
        ("abcd", "xy", "xy", ""),
        ("abcd", "", "", ""),
        ("", "a", "a", ""),
        ("aab", "ab", "", "ab"),
        ("abxab", "ab", "", "ab"),
        ("axbab", "ab", "", "ab"),
        ("abaxb", "ab", "", "ab"),
        ("aba", "aa", "", "aba"),
        ("ab", "aa", "a", "a"),
        ("abab", "ba", "", "ba"),
    ],
)
def test_a_watchers_events_are_looked_for_in_the_history(
    history: str, got: str, missing: str, window: str | None
) -> None:
    lacking, kept, between = matched(texts(*history), texts(*got))
    assert sorted(one.payload for one in [*lacking, *kept]) == sorted(got)
    assert [one.payload for one in lacking] == list(missing)
    assert between == (None if window is None else keys(window))


def test_of_what_is_there_again_one_is_looked_for() -> None:
    one, two = event("a", 1), event("b", 2)
    assert matched([one, two, one], [one, one, two]) == ([], [one, two], [one.key, two.key])


@pytest.mark.parametrize(
    ("history", "got", "first"),
    [
        ("ab", "a", True),
        ("ab", "b", False),
        ("", "a", False),
        ("aab", "ab", False),
        ("ab", "aab", True),
        ("aab", "aab", True),
    ],
)
def test_a_history_begins_with_the_first_that_was_watched(history: str, got: str, *, first: bool) -> None:
    assert begins(texts(*history), texts(*got)) is first


def test_the_same_has_the_same_payload_and_number() -> None:
    one = event("a", 1, 5)
    assert one.key == replace(one, count=None, announced=True, line=9).key
    assert one.key not in (event("a").key, event("a", 2).key, event("b", 1).key)
    assert [one.unique, event("a", 1).unique, event("a", None, 1).unique, event("a").unique] == [
        True,
        True,
        True,
        False,
    ]
