"""What is told of drawn interleavings: all of it is written down (tests/races/test_interleavings.py says why)."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from checkers import written
from checkers.redis_story import A, B
from races.race_story import KEY, RaceStory, kinds

from limpet.checkers.interleavings import EXPIRY, GONE, Judged, check, judge, numbered, schedules
from limpet.contract import Contract
from limpet.history import Line, Section

BOTH_UPDATE = ("A", "update"), ("B", "update")
SEEN = "(as it was created)"


def told(
    one: RaceStory, contract: Contract, *found: str, first: int = 1, left_ms: int = GONE, doubt: str = ""
) -> Judged:
    """These kinds of violations are found, in this order; `first`: the line at which the schedule begins."""
    lines = [(no - 1 + first, line) for no, line in numbered(one.lines(left_ms=left_ms, doubt=doubt))]
    judged = judge(lines, contract)
    assert kinds(judged) == list(found)
    written.same([asdict(one) | {"lines": list(one.lines)} for one in judged.violations])
    return judged


def history(*stories: Sequence[Line]) -> Section:
    lines = [Line(0, "begin", "locking"), *(line for lines in stories for line in lines)]
    return Section([*lines, Line(1, "end", "locking")], "history-locking.jsonl")


def late() -> RaceStory:
    """A's lock expires, B takes it, and A writes all the same."""
    one = RaceStory(*BOTH_UPDATE)
    one.acquire(A, "s", "token-of-a")
    one.expires()
    one.acquire(B, "s", "token-of-b")
    one.commit(A, "s", "token-of-a", "late")
    one.release(B, "s", "token-of-b")
    return one


def test_lines_are_those_of_the_whole_history(gadget: Contract) -> None:
    for first in (1, 1000):
        (violation,) = told(late(), gadget, "stale holder cannot write", first=first).violations
        assert violation.lines == (first + 4, first + 8, first + 12)
        told(late(), gadget, "stale holder cannot write", "none leaks", left_ms=1500, first=first)


def test_an_expiry_is_as_long_as_the_lock_had_left_and_longer(gadget: Contract) -> None:
    for left_s in (0.0, 1.5, 9.999):
        one = RaceStory(*BOTH_UPDATE)
        one.acquire(A, "s", "token-of-a")
        one.wait(9.999 - left_s)
        one.expires(left_s)
        one.acquire(B, "s", "token-of-b")
        one.commit(B, "s", "token-of-b", "1")
        one.release(B, "s", "token-of-b")
        assert told(one, gadget).acquired == 2


def test_a_second_expiry_comes_after_the_first(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    for number, pod in enumerate((A, B, A)):
        one.acquire(pod, "s", f"token-{number}")
        one.expires()
    one.acquire(B, "s", "token-of-b")
    assert told(one, gadget).acquired == 4


def test_what_is_left_unsaid_of_a_turn_is_nothing(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.note("turn", EXPIRY)
    one.do(A, "SET lock:session:s token-of-a NX PX 10000", at_us=0)
    assert told(one, gadget).acquired == 1


def test_the_gravest_is_first(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.do(A, "SET lock:session:s token-of-a NX")
    one.do(B, "SET lock:session:s token-of-b PX 10000")
    one.op("create", 1, "another", {"id": "another"}, key=KEY)
    one.read("nobody-wrote")
    one.update(1, "a", type_="info", status=500)
    found = ("linearizable", "made once", "one holder", "every lock expires", "none leaks", "answered")
    told(one, gadget, *found, left_ms=-1)


def test_a_create_that_failed_or_has_another_key_made_nothing_twice(gadget: Contract) -> None:
    for key, type_ in (("another key", "ok"), (KEY, "info")):
        one = RaceStory(("A", "create"), ("B", "create"))
        one.op("create", 1, "another", {"id": "another"}, key=key, type_=type_)
        told(one, gadget)
    one = RaceStory(("A", "create"), ("B", "create"))
    one.add("invoke", "create", 1, "", KEY)
    told(one, gadget)


def test_nothing_is_said_of_other_sessions_and_what_lies_between(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.op("read", 5, "other", {"id": "other", "labels": {"limpet": "nobody-wrote"}})
    told(one, gadget)


def both_look(one: RaceStory, *, then: Sequence[tuple[str, str]]) -> RaceStory:
    for pod in (A, B):
        one.do(pod, "GET session:s", reply=SEEN)
    for pod, command in then:
        one.do(pod, command, reply=1 if command.startswith("DEL") else "OK")
    return one


@pytest.mark.parametrize(
    ("then", "lost"),
    [
        ([(A, "SET session:s a"), (B, "SET session:s b")], 1),
        ([(A, "SET session:s a"), (A, "SET session:s a2")], 0),
        ([(A, "SET session:s a"), (B, "DEL session:s")], 0),
        ([(A, "SET session:s a"), (B, "SET session:s a")], 0),
        ([(A, "SET session:s a"), (B, "GET session:s"), (B, "SET session:s b")], 0),
        ([(A, "SET session:s a"), (B, "SET session:s b"), (A, "SET session:s a2")], 2),
        ([(A, "SET session:other a"), (B, "SET session:other b")], 0),
        ([(A, "SET session:s a"), ("backend-3", "SET session:s c")], 0),
    ],
)
def test_a_write_over_what_was_not_seen_is_lost(gadget: Contract, then: list[tuple[str, str]], lost: int) -> None:
    judged = judge(numbered(both_look(RaceStory(*BOTH_UPDATE), then=then).lines()), gadget)
    assert kinds(judged).count("no lost update") == lost
    written.same([asdict(one) | {"lines": list(one.lines)} for one in judged.violations])


def test_a_call_that_never_looked_cannot_have_overlooked_anything(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.do(A, "SET session:s a")
    one.do(B, "SET session:s b")
    told(one, gadget, "changes under the lock", "changes under the lock")


def test_who_compared_has_not_lost_it(gadget: Contract) -> None:
    guide = replace(gadget, redis=replace(gadget.redis, fence=None))
    one = RaceStory(*BOTH_UPDATE)
    one.do(B, "GET session:s", reply=SEEN)
    one.script(A, "x1 0", "GET session:s", "SET session:s a")
    one.do(B, "WATCH session:s")
    one.transaction(B, ("SET session:s b", "OK"))
    told(one, guide)


def test_without_a_record_in_the_contract_nothing_is_lost(gadget: Contract) -> None:
    one = both_look(RaceStory(*BOTH_UPDATE), then=[(A, "SET session:s a"), (B, "SET session:s b")])
    told(one, replace(gadget, redis=replace(gadget.redis, session=None)))


def test_the_first_puzzle_is_the_doubt_unless_there_is_one(gadget: Contract) -> None:
    for doubt in ("", "MONITOR was lost"):
        one = RaceStory(*BOTH_UPDATE)
        for _ in range(2):
            one.do(A, "APPEND lock:session:s more", reply=4)
        said = told(one, gadget, doubt=doubt, first=11).doubt
        expected = "a command on the lock could not be followed, 14: APPEND on lock:session:s"
        assert said == (doubt or expected)


def test_a_lock_that_is_gone_or_was_not_looked_for_is_not_left(gadget: Contract) -> None:
    for left_ms, found in ((-2, []), (0, ["none leaks"]), (-1, ["none leaks"])):
        told(RaceStory(*BOTH_UPDATE), gadget, *found, left_ms=left_ms)
    lines = list(RaceStory(*BOTH_UPDATE).lines())
    lines[-1] = replace_data(lines[-1], "left_ms")
    assert judge(numbered(lines), gadget).violations == ()


def replace_data(line: Line, lacking: str) -> Line:
    return Line(line.t, line.type, line.op, data={key: value for key, value in line.data.items() if key != lacking})


def test_the_judgement_has_the_part_of_all_schedules(gadget: Contract) -> None:
    right = list(RaceStory(*BOTH_UPDATE).lines())
    simple, long = list(late().lines()), list(late().lines())
    long[-1] = Line(long[-1].t, "schedule", "end", data={**long[-1].data, "text": "A:update B:update and 'more'"})
    doubtful = list(RaceStory(*BOTH_UPDATE).lines(doubt="MONITOR was lost"))
    for stories in ((right,), (long, simple), (simple, long), (right, doubtful), (right[1:], right, right[:-1])):
        written.as_written(check(history(*stories), gadget))
    unsupported = [Line(1, "schedule", "unsupported", data={"why": "link: this target cannot"})]
    written.as_written(check(history(unsupported), gadget))
    written.as_written(check(history(right), replace(gadget, redis=replace(gadget.redis, lock=None))))


def test_without_fences_a_holder_that_was_overtaken_is_judged_by_the_locks_alone(gadget: Contract) -> None:
    guide = replace(gadget, redis=replace(gadget.redis, fence=None))
    for overtaken in (True, False):
        one = late() if overtaken else RaceStory(*BOTH_UPDATE)
        one.read("nobody-wrote")
        told(one, guide, *([] if overtaken else ["linearizable"]))
    fenced = late()
    fenced.read("nobody-wrote")
    told(fenced, gadget, "linearizable", "stale holder cannot write")


def test_calls_that_did_not_end_may_leave_their_lock(gadget: Contract) -> None:
    told(RaceStory(*BOTH_UPDATE), gadget, left_ms=1500, doubt="its calls did not come to their end in time")


def test_a_command_is_its_pods_wherever_it_came_from(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    sources: list[dict[str, Any]] = [{"from": "10.0.0.1:5000"}, {"from": "10.0.0.2:5000"}]
    one.do(A, "SET lock:session:s token-of-a NX PX 10000", **sources[0])
    one.do(A, "DEL lock:session:s", reply=1, **sources[1])
    told(one, gadget, "fence grows")


def test_a_schedule_has_its_own_lines_and_ends_once(gadget: Contract) -> None:
    right = list(RaceStory(*BOTH_UPDATE).lines())
    section = history(right, [right[-1]], right[:-1], right)
    cut = [(lines[0][0], lines[-1][0], len(lines)) for lines in schedules(section)]
    assert cut == [(2, 1 + len(right), len(right)), (2 + 2 * len(right), 1 + 3 * len(right), len(right))]
    assert all(line is section.lines[no - 1] for lines in schedules(section) for no, line in lines)
    assert check(section, gadget).evidence["schedules"] == 2
