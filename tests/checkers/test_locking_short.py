"""What is found in a few commands: all of the judgement is written down, too little of everything as it is."""

from dataclasses import replace

import pytest
from checkers.redis_story import (
    EXPIRES,
    FENCES,
    ONE,
    RELEASES,
    STALE,
    TOKENS,
    TTL_MS,
    UNLOCKED,
    A,
    B,
    RedisStory,
    unfenced,
)
from checkers.replay_story import LOCK, found, held_up, sections

from limpet.contract import Contract, Redis


def test_in_right_sections_nothing_is_found(gadget: Contract) -> None:
    for contract in (gadget, unfenced(gadget)):
        found(sections().judged(), contract)
        found(sections().overtaken("t").judged(), contract)


def test_in_no_command_at_all_nothing_is_found(gadget: Contract) -> None:
    found(RedisStory().judged(), gadget)
    found(RedisStory().section(), gadget)
    found(RedisStory(fresh=False).judged(), gadget)


def _without(keys: Redis, name: str) -> Redis:
    return {
        "lock": replace(keys, lock=None),
        "fence": replace(keys, fence=None),
        "session": replace(keys, session=None),
    }[name]


@pytest.mark.parametrize("lacking", ["lock", "fence", "session"])
def test_what_is_not_in_the_contract_is_not_judged(gadget: Contract, lacking: str) -> None:
    found(sections().judged(), replace(gadget, redis=_without(gadget.redis, lacking)))
    found(sections().judged(lost="the server ended MONITOR"), replace(gadget, redis=_without(gadget.redis, lacking)))


def test_without_a_ttl_in_the_contract_any_life_is_right_but_none(gadget: Contract) -> None:
    timeless = replace(unfenced(gadget), timing=replace(gadget.timing, lock_ttl_s=None))
    one = RedisStory()
    one.do(A, "SET lock:session:s token-one NX PX 50")
    one.do(A, "DEL lock:session:s", reply=1)
    found(one.judged(), timeless)
    one.do(A, "SET lock:session:t token-two NX")
    one.do(B, "DEL lock:session:t", reply=1)
    found(one.judged(), timeless, RELEASES, EXPIRES)


def test_a_trace_with_holes_or_puzzles_is_doubted(gadget: Contract) -> None:
    found(sections().judged(lost="the server ended MONITOR"), gadget)
    one = sections()
    one.do(A, "HSET lock:session:s f 1", reply=1)
    one.do(A, "HSET lock:session:t f 1", reply=1)
    found(one.judged(), gadget)


def test_where_nobody_looked_for_locks_a_used_stack_may_have_had_some(gadget: Contract) -> None:
    one = RedisStory(fresh=False)
    one.do(A, "SET session:s 1")
    one.do(A, "SET session:s 2")
    one.note("trace")
    found(one.section(), gadget)


def test_two_traces_are_judged_by_the_last(gadget: Contract) -> None:
    one = sections()
    one.note("trace", lost="it was cut")
    found(one.judged(), gadget)


@pytest.mark.parametrize(
    "phases", [(), ("inject",), ("no effect",), ("not injected",), ("no effect", "effect"), ("effect", "no effect")]
)
def test_a_pause_that_stopped_nobody_is_told(gadget: Contract, phases: tuple[str, ...]) -> None:
    one = sections()
    one.note("fault", "no effect", fault="another", why="of no interest")
    for number, phase in enumerate(phases):
        one.pause(phase, why=f"reason {number}")
    found(one.judged(), gadget)


def test_the_last_reason_is_told(gadget: Contract) -> None:
    one = sections()
    for phase, why in (("no effect", "the first"), ("no effect", "the last"), ("inject", "none of these")):
        one.pause(phase, why=why)
    found(one.judged(), gadget)


def test_a_lock_that_is_taken_while_it_is_held_is_found(gadget: Contract) -> None:
    one = sections()
    one.do(A, LOCK % "token-of-a")
    one.do(B, f"SET lock:session:s token-of-b PX {TTL_MS}")
    found(one.judged(), gadget, ONE)


@pytest.mark.parametrize("command", ["DEL lock:session:s", "PEXPIRE lock:session:s 9000"])
def test_a_lock_that_another_touches_is_found(gadget: Contract, command: str) -> None:
    one = sections()
    one.do(A, LOCK % "token-of-a")
    one.do(B, command, reply=1)
    found(one.judged(), gadget, RELEASES)
    found(one.judged(), replace(gadget, timing=replace(gadget.timing, lock_ttl_s=None)), RELEASES)


@pytest.mark.parametrize(("ttl_ms", "right"), [(4999, False), (5000, True), (11000, True), (11001, False)])
def test_a_lock_lives_at_least_half_and_at_most_a_second_more(gadget: Contract, ttl_ms: int, *, right: bool) -> None:
    one = sections()
    one.do(A, f"SET lock:session:s token-of-a NX PX {ttl_ms}")
    one.release(A, "s", "token-of-a")
    found(one.judged(), unfenced(gadget), *([] if right else [EXPIRES]))


def test_a_lock_that_lives_for_ever_is_found(gadget: Contract) -> None:
    one = sections()
    one.do(A, "SET lock:session:s token-of-a NX")
    one.release(A, "s", "token-of-a")
    one.do(A, LOCK % "token-of-a-2")
    one.do(A, "PERSIST lock:session:s", reply=1)
    one.release(A, "s", "token-of-a-2")
    found(one.judged(), unfenced(gadget), EXPIRES)


def same_token(*, used: bool = False, outcome: str = "replied", again: str = A, session: str = "s") -> RedisStory:
    """The same token twice."""
    one = sections()
    one.do(A, LOCK % "token-of-a", outcome=outcome)
    if used:
        one.do(A, "SET session:s new")
    one.release(A, "s", "token-of-a")
    one.do(again, f"SET lock:session:{session} token-of-a NX PX {TTL_MS}")
    one.release(again, session, "token-of-a")
    return one


def test_a_token_that_comes_again_is_found(gadget: Contract) -> None:
    guide = unfenced(gadget)
    found(same_token().judged(), guide, TOKENS)
    found(same_token(again=B).judged(), guide, TOKENS)
    found(same_token(again=B, outcome="undelivered").judged(), guide, TOKENS)
    found(same_token(outcome="undelivered").judged(), guide)
    found(same_token(session="t").judged(), guide)


@pytest.mark.parametrize("used", [True, False])
def test_a_token_that_a_stopped_pod_sends_again_is_found_where_it_was_used(gadget: Contract, *, used: bool) -> None:
    one = sections()
    one.note("link", "Hold", pod=A)
    one.note("link", "pass", pod=A)
    one.do(A, LOCK % "token-of-a")
    if used:
        one.do(A, "SET session:s new")
    one.note("pause", "begin", pod=A)
    one.wait(11)
    one.note("pause", "end", pod=A)
    one.do(A, LOCK % "token-of-a")
    one.release(A, "s", "token-of-a")
    found(one.judged(), unfenced(gadget), *([TOKENS] if used else []))


@pytest.mark.parametrize(
    ("fences", "right"),
    [
        (("9", "10"), True),
        (("0009", "010"), True),
        (("19", "0020"), True),
        (("20", "19"), False),
        (("100", "99"), False),
        (("7", "7"), False),
        (("8", "07"), False),
        (("07", "7"), False),
        (("7", "seven"), False),
        (("seven", "7"), False),
        (("7", "8", "7"), False),
        (("10", "11"), True),
        (("200", "30"), False),
    ],
)
def test_fences_are_numbers_that_grow(gadget: Contract, fences: tuple[str, ...], *, right: bool) -> None:
    one = RedisStory()
    for number, fence in enumerate(fences):
        one.do(A, LOCK % f"token-{number}")
        one.do(A, f"SET fence:session:s {fence}")
        one.release(A, "s", f"token-{number}")
        one.do(A, f"SET lock:session:t token-{number} NX PX {TTL_MS}")  # another session's are others
        one.do(A, "SET fence:session:t " + str(number + 1))
        one.release(A, "t", f"token-{number}")
    found(one.judged(), gadget, *([] if right else [FENCES]))


def test_who_used_or_returned_a_lock_had_a_fence(gadget: Contract) -> None:
    one = sections()
    one.do(A, LOCK % "token-one")
    one.do(A, "SET session:s new")
    found(one.judged(), gadget, FENCES)
    other = sections()
    other.do(A, LOCK % "token-one")
    other.release(A, "s", "token-one")
    found(other.judged(), gadget, FENCES)
    unanswered = sections()
    unanswered.do(A, LOCK % "token-one", outcome="undelivered")
    unanswered.release(A, "s", "token-one")
    unanswered.do(A, LOCK % "token-two")  # still held
    found(unanswered.judged(), gadget)


def test_an_acquisition_that_is_not_certain_proves_nothing(gadget: Contract) -> None:
    one = RedisStory(links=False)
    one.do(A, f"SET lock:session:s token-zero NX PX {TTL_MS}")
    one.wait(9.99)
    one.do(B, f"SET lock:session:s token-one NX PX {TTL_MS}")
    one.do(B, "SET fence:session:s 5")
    one.do(B, "SET session:s new")
    found(one.judged(), gadget)
    other = RedisStory(links=False)
    other.do(A, f"SET lock:session:s token-zero NX PX {TTL_MS}")
    other.wait(9.99)
    other.do(B, f"SET lock:session:s token-one NX PX {TTL_MS}")
    for number in (7, 8):
        other.do(A, f"SET lock:session:t token-{number} PX {TTL_MS}")
        other.do(A, "SET fence:session:t 7")
        other.do(A, "DEL lock:session:t")
    found(other.judged(), gadget, FENCES)


def test_a_fence_that_nobody_knows_is_compared_with_nothing(gadget: Contract) -> None:
    one = RedisStory(fresh=False)
    for number, count in enumerate(("INCR fence:session:s", "SET fence:session:s 6", "SET fence:session:s 7")):
        one.do(A, LOCK % f"token-{number}")
        one.do(A, count, outcome="replied" if number else "unknown")
        one.release(A, "s", f"token-{number}")
    found(one.judged(), gadget)


def test_a_late_holder_that_writes_is_found(gadget: Contract) -> None:
    one = held_up()
    one.do(A, "SET session:s stale")
    found(one.judged(), gadget, STALE)
    found(one.judged(), unfenced(gadget))


def test_a_late_holder_without_fences_that_writes_is_found(gadget: Contract) -> None:
    one = sections()
    one.note("pause", "begin", pod=A)
    one.do(A, LOCK % "token-of-a")
    one.wait(10.2)
    one.do(B, LOCK % "token-of-b")
    one.do(A, "SET session:s stale")
    found(one.judged(), gadget, STALE)


def test_a_late_holder_after_whom_nobody_came_may_write(gadget: Contract) -> None:
    one = sections()
    one.note("link", "Hold", pod=A)
    one.acquire(A, "s", "token-of-a")
    one.wait(11)
    one.commit(A, "s", "token-of-a", "late")
    found(one.judged(), gadget)


def test_who_changes_without_the_lock_is_found(gadget: Contract) -> None:
    one = sections()
    one.do(B, "SET session:s other")
    one.script(B, "x1 0", "GET session:s", "SET session:s compared")
    one.do(B, "SET session:new 1")
    found(one.judged(), gadget, UNLOCKED)
    found(one.judged(), unfenced(gadget), UNLOCKED)
    never = RedisStory()
    never.do(A, "SET session:new 1")
    never.do(B, "SET session:new 2")
    found(never.judged(), gadget, UNLOCKED)


def test_of_a_stack_that_was_used_before_only_what_is_certain_is_found(gadget: Contract) -> None:
    for locks in ({}, {"lock:session:s": 5000}):
        one = RedisStory(fresh=False)
        one.op("locks", value=None if locks == {} else {}, type_="fail")
        one.op("locks", value=locks)
        one.do(A, "SET session:s 1")
        one.do(A, "SET session:s 2")
        found(one.judged(), gadget, *([] if locks else [UNLOCKED]))
