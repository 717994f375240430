from dataclasses import replace

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.redis_story import TTL_MS, A, B, RedisStory

from limpet.checkers.locking import check
from limpet.contract import Contract
from limpet.verdict import Verdict

ONE, RELEASES, EXPIRES, TOKENS = "one holder", "only the holder releases", "every lock expires", "token unique"
FENCES, STALE, UNLOCKED, LEAKS = "fence grows", "stale holder cannot write", "changes under the lock", "none leaks"


@pytest.fixture(scope="module")
def guide(gadget: Contract) -> Contract:
    """A contract without fences."""
    return replace(gadget, redis=replace(gadget.redis, fence=None))


def story(**how: bool) -> RedisStory:
    return RedisStory(**how).enough().overtaken()


def simple(pod: str, session: str, token: str, *between: str) -> RedisStory:
    """A section of plain commands, after enough has happened."""
    one = story()
    one.do(pod, f"SET lock:session:{session} {token} NX PX {TTL_MS}")
    for command in between:
        one.do(pod, command, reply=1)
    return one


# what is right


def test_sections_one_after_the_other_and_a_refused_late_holder_are_held(gadget: Contract) -> None:
    held(check(story().judged(), gadget))


def test_it_is_held_without_replies_too(gadget: Contract) -> None:
    held(check(story(links=False).judged(), gadget))


def test_plain_commands_with_a_comparing_release_are_held(guide: Contract) -> None:
    one = simple(A, "t", "token-of-t", "SET session:t 1")
    one.do(B, f"SET lock:session:t other-token NX PX {TTL_MS}", reply=None)
    one.release(A, "t", "token-of-t")
    one.do(B, "SET lock:session:t other-token NX EX 10")
    one.do(B, "DEL session:t", reply=1)
    one.do(B, "DEL lock:session:t", reply=1)  # by its holder, in time
    held(check(one.judged(), guide))


def test_a_release_in_a_transaction_after_watch_is_held(guide: Contract) -> None:
    one = simple(A, "t", "token-of-t", "WATCH lock:session:t", "GET lock:session:t")
    one.transaction(A, ("DEL lock:session:t", 1))
    held(check(one.judged(), guide))


def test_an_old_style_lock_with_its_expiry_in_the_same_transaction_is_held(guide: Contract) -> None:
    one = story()
    one.transaction(A, ("SETNX lock:session:t token-of-t", 1), ("PEXPIRE lock:session:t 10000", 1))
    one.release(A, "t", "token-of-t")
    held(check(one.judged(), guide))


def test_a_holder_that_prolongs_its_lock_and_works_on_is_held(gadget: Contract) -> None:
    one = story()
    one.acquire(A, "t", "token-of-t")
    for _ in range(3):
        one.wait(8)
        one.script(A, "p1 1 lock:session:t token-of-t 10000", "GET lock:session:t", "PEXPIRE lock:session:t 10000")
    one.commit(A, "t", "token-of-t", "1")
    one.release(A, "t", "token-of-t")
    held(check(one.judged(), gadget))


def test_a_lock_that_another_process_releases_with_its_token_is_held(gadget: Contract) -> None:
    one = story()
    one.acquire(A, "t", "token-of-t")
    one.release(B, "t", "token-of-t")
    held(check(one.judged(), gadget))


def test_a_late_release_of_a_lock_that_nobody_holds_is_held(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.commit(B, "s", "token-of-b", "new")
    one.commit(A, "s", "token-of-a", "stale", done=False)
    one.release(B, "s", "token-of-b")
    one.do(A, "DEL lock:session:s", reply=0)
    held(check(one.judged(), gadget))


def test_a_session_that_nobody_knows_yet_may_be_made_without_the_lock(gadget: Contract) -> None:
    one = story()
    one.do(A, "SET session:new 1")
    one.do(A, "SADD sessions:active new", reply=1)
    one.do(B, "EXPIRE session:new 1800", reply=1)
    held(check(one.judged(), gadget))


def test_a_change_that_compares_needs_no_lock_where_there_is_no_fence(guide: Contract) -> None:
    one = story()
    one.do(A, "SET session:new 1")
    one.script(B, "x1 1 session:new", "GET session:new", "SET session:new 2")
    one.do(A, "WATCH session:new")
    one.do(A, "GET session:new", reply="2")
    one.transaction(A, ("SET session:new 3", "OK"))
    held(check(one.judged(), guide))


def test_a_late_holder_that_writes_cannot_be_judged_without_fences(guide: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.do(A, "SET session:s stale")
    one.release(A, "s", "token-of-a", done=False)
    one.release(B, "s", "token-of-b")
    judgement = check(one.judged(), guide)
    held(judgement)
    assert part(judgement, STALE).missing == "redis.fence is not in the contract"


def test_a_late_holder_after_whom_nobody_came_may_write(gadget: Contract) -> None:
    one = story()
    one.note("link", "Hold", pod=A)
    one.acquire(A, "t", "token-of-t")
    one.wait(11)
    one.note("link", "pass", pod=A)
    one.commit(A, "t", "token-of-t", "1")
    one.commit(A, "t", "token-of-t", "2")
    held(check(one.judged(), gadget))


def test_an_acquisition_whose_answer_was_lost_and_that_is_sent_again_is_held(gadget: Contract) -> None:
    one = story()
    one.note("link", "CutAfterCommand", pod=A)
    one.do(A, f"SET lock:session:t token-of-t NX PX {TTL_MS}", outcome="undelivered")
    one.note("link", "pass", pod=A)
    one.release(A, "t", "token-of-t")
    one.script(
        A,
        "a1 2 lock:session:t fence:session:t token-of-t 10000",
        f"SET lock:session:t token-of-t NX PX {TTL_MS}",
        "SET fence:session:t 7",
    )
    one.release(A, "t", "token-of-t")
    held(check(one.judged(), gadget))


def test_other_locks_are_none_of_this(gadget: Contract) -> None:
    one = story()
    one.do(A, "SET lock:idempotency:k token NX")
    one.do(B, "DEL lock:idempotency:k", reply=1)
    held(check(one.judged(), gadget))


def test_fences_of_any_length_are_compared_as_numbers(gadget: Contract) -> None:
    one = story()
    for token, fence in (("token-one", "9" * 20), ("token-two", "1" + "0" * 20)):
        one.script(A, f"a1 0 {token}", f"SET lock:session:t {token} NX PX 10000", f"SET fence:session:t {fence}")
        one.release(A, "t", token)
    held(check(one.judged(), gadget))


def test_a_fence_that_is_counted_up_beside_the_lock_is_held(gadget: Contract) -> None:
    one = story()
    for number in (1, 2):
        one.do(A, f"SET lock:session:t token-{number} NX PX 10000")
        one.do(A, "INCR fence:session:t", reply=number)
        one.release(A, "t", f"token-{number}")
    one.transaction(B, ("INCR fence:session:t", 3), ("SET lock:session:t token-3 NX PX 10000", "OK"))
    one.release(B, "t", "token-3")
    held(check(one.judged(), gadget))


# what is wrong


def test_a_plain_delete_of_a_lock_that_passed_to_another_is_violated(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.do(A, "DEL lock:session:s", reply=1)
    violated(check(one.judged(), gadget), RELEASES)


def test_a_plain_delete_within_a_script_is_violated(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.script(A, "r1 1 lock:session:s", "DEL lock:session:s")
    violated(check(one.judged(), gadget), RELEASES)


def test_a_script_that_releases_with_another_token_of_the_same_pod_is_violated(gadget: Contract) -> None:
    one = story()
    one.note("link", "Hold", pod=A)
    one.acquire(A, "t", "token-one")
    one.wait(10.2)
    one.acquire(A, "t", "token-two")
    one.script(A, "r1 1 lock:session:t token-one", "DEL lock:session:t")
    violated(check(one.judged(), gadget), RELEASES)


def test_prolonging_what_passed_to_another_is_violated(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.do(A, "PEXPIRE lock:session:s 10000", reply=1)
    one.release(B, "s", "token-of-b")
    violated(check(one.judged(), gadget), RELEASES)


def test_taking_a_lock_that_is_held_is_violated(guide: Contract) -> None:
    one = simple(A, "t", "token-of-a-t", "GET lock:session:t")
    one.do(B, "GET lock:session:t", reply=None)  # a look that is out of date
    one.do(B, f"SET lock:session:t token-of-b-t PX {TTL_MS}")
    one.release(B, "t", "token-of-b-t")
    violated(check(one.judged(), guide), ONE)


def test_taking_it_twice_within_one_pod_is_violated(guide: Contract) -> None:
    one = simple(A, "t", "token-one")
    one.do(A, f"SET lock:session:t token-two PX {TTL_MS}")
    one.release(A, "t", "token-two")
    violated(check(one.judged(), guide), ONE)


@pytest.mark.parametrize(
    "commands",
    [
        ["SET lock:session:t token-of-t NX"],
        ["SETNX lock:session:t token-of-t"],
        ["SETNX lock:session:t token-of-t", "EXPIRE lock:session:t 10"],  # a crash in between leaves it for ever
        [f"SET lock:session:t token-of-t NX PX {TTL_MS}", "PERSIST lock:session:t"],
        ["SET lock:session:t token-of-t NX PX 50"],
        ["SET lock:session:t token-of-t NX EX 3600"],
    ],
)
def test_a_lock_that_does_not_live_as_long_as_it_shall_is_violated(guide: Contract, commands: list[str]) -> None:
    one = story()
    for command in commands:
        one.do(A, command, reply="OK" if command.startswith("SET ") else 1)
    one.release(A, "t", "token-of-t")
    violated(check(one.judged(), guide), EXPIRES)


def test_a_token_that_comes_again_is_violated(guide: Contract) -> None:
    one = story()
    for _ in range(2):
        one.do(A, f"SET lock:session:t instance-1 NX PX {TTL_MS}")
        one.do(A, "DEL lock:session:t", reply=1)
    violated(check(one.judged(), guide), TOKENS)


@pytest.mark.parametrize("second", ["5", "4"])
def test_a_fence_that_does_not_grow_is_violated(gadget: Contract, second: str) -> None:
    one = story()
    for token, fence in (("token-one", "5"), ("token-two", second)):
        one.script(A, f"a1 0 {token}", f"SET lock:session:t {token} NX PX 10000", f"SET fence:session:t {fence}")
        one.release(A, "t", token)
    violated(check(one.judged(), gadget), FENCES)


def test_an_acquisition_without_a_fence_is_violated(gadget: Contract) -> None:
    one = simple(A, "t", "token-of-t")
    one.commit(A, "t", "token-of-t", "1")
    one.release(A, "t", "token-of-t")
    violated(check(one.judged(), gadget), FENCES)


def test_a_write_under_an_older_fence_is_violated(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.do(A, "SET session:s stale")
    one.release(B, "s", "token-of-b")
    violated(check(one.judged(), gadget), STALE)


def test_a_write_with_an_older_token_of_the_same_pod_is_violated(gadget: Contract) -> None:
    one = story()
    one.note("link", "Hold", pod=A)
    one.acquire(A, "t", "token-one")
    one.wait(10.2)
    one.acquire(A, "t", "token-two")
    one.commit(A, "t", "token-one", "stale")
    one.release(A, "t", "token-two")
    violated(check(one.judged(), gadget), STALE)


def test_a_late_delete_of_the_session_is_violated(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    one.transaction(A, ("DEL session:s ws:s", 1), ("SREM sessions:active s", 1))
    one.release(B, "s", "token-of-b")
    violated(check(one.judged(), gadget), STALE)


def test_a_change_by_who_never_had_the_lock_is_violated(guide: Contract) -> None:
    one = story()
    one.do(A, "SET session:new 1")
    one.do(B, "GET session:new", reply="1")
    one.do(B, "SET session:new 2")
    violated(check(one.judged(), guide), UNLOCKED)


def test_a_change_after_the_release_is_violated(guide: Contract) -> None:
    one = simple(A, "t", "token-of-t", "SET session:t 1")
    one.release(A, "t", "token-of-t")
    one.do(A, "DEL session:t", reply=1)
    violated(check(one.judged(), guide), UNLOCKED)


def test_a_comparing_change_without_the_lock_is_violated_where_there_are_fences(gadget: Contract) -> None:
    one = story()
    one.do(A, "SET session:new 1")
    one.script(B, "x1 1 session:new", "GET session:new", "SET session:new 2")
    violated(check(one.judged(), gadget), UNLOCKED)


def test_a_backend_that_never_locks_is_violated(guide: Contract) -> None:
    one = RedisStory()
    for number in range(60):
        one.do(A, f"SET session:s{number} 1")
        one.do(B, f"DEL session:s{number}", reply=1)
    judgement = check(one.judged(), guide)
    violated(judgement, UNLOCKED)
    assert "nobody ever acquired lock:session:{id}" in part(judgement, UNLOCKED).reason


def test_a_lock_that_is_left_to_its_expiry_is_violated(gadget: Contract) -> None:
    one = story()
    one.wait(3)  # what comes through a link that was just disturbed is excused
    one.acquire(A, "t", "token-of-t")
    one.wait(11)
    one.do(B, "GET session:t", reply=None)
    violated(check(one.judged(), gadget), LEAKS)


def test_a_lock_that_is_still_there_at_the_end_is_violated(gadget: Contract) -> None:
    violated(check(story().judged(left={"lock:session:t": -1}), gadget), LEAKS)


# what cannot be told


def test_too_little_is_unknown(gadget: Contract) -> None:
    judgement = check(RedisStory().enough(10).judged(), gadget)
    unknown(judgement, ONE, RELEASES, EXPIRES, TOKENS, FENCES, STALE, UNLOCKED, LEAKS)


def test_a_holder_that_was_never_overtaken_is_unknown(gadget: Contract) -> None:
    unknown(check(RedisStory().enough().judged(), gadget), RELEASES, STALE)


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
