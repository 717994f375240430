from dataclasses import replace

import pytest
from checkers.expect import held, part, unknown
from checkers.redis_story import (
    EXPIRES,
    FENCES,
    LEAKS,
    ONE,
    RELEASES,
    STALE,
    TOKENS,
    TTL_MS,
    UNLOCKED,
    A,
    B,
    RedisStory,
    simple,
    story,
    unfenced,
)

from limpet.checkers.locking import check
from limpet.contract import Contract
from limpet.verdict import Verdict


@pytest.fixture(scope="module")
def guide(gadget: Contract) -> Contract:
    return unfenced(gadget)


def test_too_little_is_unknown(gadget: Contract) -> None:
    judgement = check(RedisStory().enough(10).judged(), gadget)
    unknown(judgement, ONE, RELEASES, EXPIRES, TOKENS, FENCES, STALE, UNLOCKED, LEAKS)


def test_a_holder_that_was_never_overtaken_is_unknown(gadget: Contract) -> None:
    unknown(check(RedisStory().enough().judged(), gadget), RELEASES, STALE)


def test_a_holder_that_could_not_be_kept_standing_is_unknown(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.pause("no effect", why="lock:session:s free: not within 12 s")
    one.overtaken()
    judgement = check(one.judged(), gadget)
    unknown(judgement, RELEASES, STALE)
    assert "not within 12 s" in part(judgement, STALE).doubt


def test_an_overtaken_holder_that_is_heard_of_only_as_it_asks_anew_is_unknown(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.acquire(A, "s", "token-of-a-2", granted=False)
    one.release(B, "s", "token-of-b")
    one.section_of(A, "s", "token-of-a-3", "1")
    unknown(check(one.judged(), gadget), RELEASES, STALE)


def test_a_trace_that_is_not_whole_is_unknown(gadget: Contract) -> None:
    judgement = check(story().judged(lost="the server ended MONITOR"), gadget)
    assert judgement.verdict is Verdict.UNKNOWN
    assert "the server ended MONITOR" in part(judgement, ONE).doubt


def test_no_trace_is_unknown(gadget: Contract) -> None:
    assert "not traced" in part(check(story().section(), gadget), ONE).doubt


def test_a_command_on_a_lock_that_is_not_understood_is_unknown(gadget: Contract) -> None:
    one = story()
    one.do(A, "HSET lock:session:t holder 1", reply=1)
    assert check(one.judged(), gadget).verdict is Verdict.UNKNOWN


def test_a_reply_that_cannot_be_is_unknown(gadget: Contract) -> None:
    one = simple(A, "t", "token-of-a-t")
    one.do(B, f"SET lock:session:t token-of-b-t NX PX {TTL_MS}")  # granted, though A holds it
    judgement = check(one.judged(), gadget)
    assert "could not be followed" in part(judgement, ONE).doubt


def test_who_took_it_at_the_moment_of_expiry_is_not_blamed_without_replies(guide: Contract) -> None:
    one = RedisStory(links=False).enough().overtaken()
    one.do(A, f"SET lock:session:t token-of-a-t NX PX {TTL_MS}")
    one.wait(9.999)
    one.do(B, f"SET lock:session:t token-of-b-t NX PX {TTL_MS}")  # perhaps refused
    one.do(B, "DEL lock:session:t")  # perhaps A's
    held(check(one.judged(), guide))


def test_a_stack_that_was_used_before_blames_nobody_for_what_was_there(guide: Contract) -> None:
    one = RedisStory(fresh=False)
    one.op("locks", value={})
    one.enough().overtaken()
    one.do(A, "SET session:old 1")
    held(check(one.judged(), guide))


def test_whose_locks_were_there_before_is_not_known(gadget: Contract) -> None:
    one = RedisStory(fresh=False)
    one.op("locks", value={"lock:session:old": 5000})
    judgement = check(one.enough().overtaken().judged(), gadget)
    assert judgement.verdict is Verdict.UNKNOWN
    assert not judgement.findings


def test_a_contract_without_locks_cannot_show_it(gadget: Contract) -> None:
    judgement = check(story().judged(), replace(gadget, redis=replace(gadget.redis, lock=None)))
    assert [one.missing for one in judgement.parts] == ["redis.lock is not in the contract"]
