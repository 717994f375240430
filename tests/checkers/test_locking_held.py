import pytest
from checkers.expect import held, part
from checkers.redis_story import STALE, TTL_MS, A, B, RedisStory, simple, story, unfenced

from limpet.checkers.locking import check
from limpet.contract import Contract


@pytest.fixture(scope="module")
def guide(gadget: Contract) -> Contract:
    return unfenced(gadget)


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


def test_an_acquisition_whose_answer_a_stopped_pod_did_not_read_and_that_is_sent_again_is_held(
    gadget: Contract,
) -> None:
    one = story()
    one.acquire(A, "t", "token-of-t")
    one.note("pause", "begin", pod=A)
    one.wait(11)
    one.note("pause", "end", pod=A)
    one.acquire(A, "t", "token-of-t")
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


def test_a_holder_that_was_stopped_and_goes_on_is_held(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.pause("no effect", why="lock:session:r expired: not within 12 s")
    one.pause("effect")
    one.overtaken()
    held(check(one.judged(), gadget))


def test_a_lock_that_expires_while_its_holder_is_stopped_is_not_left_behind(gadget: Contract) -> None:
    one = story()
    one.wait(3)  # what comes through a link that was just disturbed is excused
    one.note("pause", "begin", pod=A)
    one.acquire(A, "t", "token-of-t")  # it was on its way
    one.wait(11)
    one.note("pause", "end", pod=A)
    one.section_of(B, "t", "token-of-b-t", "1")
    held(check(one.judged(), gadget))


def test_an_old_style_lock_with_its_expiry_in_the_same_script_is_held(guide: Contract) -> None:
    one = story()
    one.script(A, "a1 1 lock:session:t token-of-t 10", "SETNX lock:session:t token-of-t", "EXPIRE lock:session:t 10")
    one.script(B, "a1 1 lock:session:t token-of-b-t 10", "SETNX lock:session:t token-of-b-t", reply=0)
    one.release(A, "t", "token-of-t")
    held(check(one.judged(), guide))


def test_a_lock_that_is_taken_in_a_transaction_after_a_look_is_held_and_counts_as_contended(guide: Contract) -> None:
    one = RedisStory().enough(160).overtaken()  # less than it takes, of both
    for number in range(60):
        for pod in (A, B):
            one.do(pod, "WATCH lock:session:t")
            one.do(pod, "GET lock:session:t", reply=None)
        one.transaction(A, (f"SET lock:session:t token-{number} PX 10000", "OK"))
        one.do(B, "MULTI")
        one.do(B, "EXEC", reply=None)
        one.do(B, "WATCH lock:session:t")
        one.do(B, "GET lock:session:t", reply=f"token-{number}")
        one.do(B, "UNWATCH")
        one.release(A, "t", f"token-{number}")
    held(check(one.judged(), guide))


@pytest.mark.parametrize("by", ["DELIFEQ lock:session:t token-of-t", "GETDEL lock:session:t"])
def test_a_release_in_one_command_is_held(guide: Contract, by: str) -> None:
    one = simple(A, "t", "token-of-t")
    one.do(A, by, reply="token-of-t" if by.startswith("GETDEL") else 1)
    held(check(one.judged(), guide))


@pytest.mark.parametrize("pod", [A, B])
def test_a_lock_that_is_prolonged_with_its_token_by_another_process_is_held(guide: Contract, pod: str) -> None:
    one = simple(A, "t", "token-of-t")
    one.wait(8)
    one.do(pod, "SET lock:session:t token-of-t XX PX 10000")
    one.wait(8)
    one.release(A, "t", "token-of-t")
    held(check(one.judged(), guide))


def test_an_acquisition_that_is_refused_by_its_own_first_arrival_is_held(guide: Contract) -> None:
    one = story()
    one.note("link", "CutAfterCommand", pod=A)
    one.do(A, f"SET lock:session:t token-of-t NX PX {TTL_MS}", outcome="undelivered")
    one.note("link", "pass", pod=A)
    one.do(A, f"SET lock:session:t token-of-t NX PX {TTL_MS}", reply=None)
    one.do(A, "GET lock:session:t", reply="token-of-t")
    one.do(A, "SET session:t 1")
    one.release(A, "t", "token-of-t")
    held(check(one.judged(), guide))


def test_a_lock_that_is_taken_to_read_and_released_at_once_is_held(gadget: Contract) -> None:
    one = story()
    for number, pod in enumerate((A, B)):
        one.acquire(pod, "t", f"reading-{number}")
        one.do(pod, "GET session:t", reply=None)
        one.release(pod, "t", f"reading-{number}")
        one.do(pod, "GET session:t", reply=None)
    held(check(one.judged(), gadget))


def test_one_token_for_the_locks_of_several_sessions_is_held(gadget: Contract) -> None:
    one = story()
    for session in ("t", "u"):
        one.acquire(A, session, "token-of-both")
    for session in ("t", "u"):
        one.commit(A, session, "token-of-both", "1")
        one.release(A, session, "token-of-both")
    held(check(one.judged(), gadget))
