import pytest
from checkers.expect import part, violated
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
from limpet.verdict import Judgement


@pytest.fixture(scope="module")
def guide(gadget: Contract) -> Contract:
    return unfenced(gadget)


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


def test_taking_it_with_the_token_of_another_pod_is_violated(guide: Contract) -> None:
    one = simple(A, "t", "locked-by-us")
    one.do(B, f"SET lock:session:t locked-by-us PX {TTL_MS}")
    one.release(B, "t", "locked-by-us")
    violated(check(one.judged(), guide), ONE, TOKENS)


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


def test_a_token_that_comes_again_after_it_was_used_is_violated_though_its_pod_was_stopped(gadget: Contract) -> None:
    one = story()
    one.acquire(A, "t", "token-of-t")
    one.commit(A, "t", "token-of-t", "1")
    one.note("pause", "begin", pod=A)
    one.wait(11)
    one.note("pause", "end", pod=A)
    one.acquire(A, "t", "token-of-t")
    one.release(A, "t", "token-of-t")
    violated(check(one.judged(), gadget), TOKENS)


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


def test_a_lock_that_is_left_long_after_a_pause_is_violated(gadget: Contract) -> None:
    one = story()
    one.note("pause", "begin", pod=A)
    one.note("pause", "end", pod=A)
    one.wait(3)
    one.acquire(A, "t", "token-of-t")
    one.wait(11)
    one.do(B, "GET session:t", reply=None)
    violated(check(one.judged(), gadget), LEAKS)


def test_an_overlap_is_shown_by_both_acquisitions(guide: Contract) -> None:
    one = story()
    held_no = one.do(A, f"SET lock:session:t token-of-a-t NX PX {TTL_MS}")
    one.do(B, "GET session:t", reply=None)
    taken_no = one.do(B, f"SET lock:session:t token-of-b-t PX {TTL_MS}")
    one.release(B, "t", "token-of-b-t")
    shown(check(one.judged(), guide), held_no, taken_no)


def test_a_foreign_release_is_shown_by_the_acquisition_and_the_release(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    held_no = one.line("SET", "lock:session:s", pod=B)
    released_no = one.do(A, "DEL lock:session:s", reply=1)
    shown(check(one.judged(), gadget), held_no, released_no)


def test_a_fence_that_does_not_grow_is_shown_by_the_lines_that_handed_it_out(gadget: Contract) -> None:
    one, handed_out = story(), []
    for token in ("token-one", "token-two"):
        one.do(A, f"SET lock:session:t {token} NX PX 10000")
        handed_out.append(one.do(A, "SET fence:session:t 5"))
        one.release(A, "t", token)
    shown(check(one.judged(), gadget), *handed_out)


def test_a_stale_write_is_shown_by_both_acquisitions_and_the_write(gadget: Contract) -> None:
    one = RedisStory().enough()
    one.hold_up()
    lines = [one.line("SET", "lock:session:s", pod=pod) for pod in (A, B)]
    stale_no = one.do(A, "SET session:s stale")
    one.release(B, "s", "token-of-b")
    shown(check(one.judged(), gadget), *lines, stale_no)


def shown(judgement: Judgement, *lines: int) -> None:
    """By one finding, with these lines and no more."""
    assert [finding.where.partition("lines ")[2] for finding in judgement.findings] == [", ".join(map(str, lines))]
