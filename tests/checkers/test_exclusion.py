"""Who changed a session, and under which lock."""

from checkers.redis_story import A, B, RedisStory
from checkers.replay_story import LOCK, held_up, told

from limpet.contract import Contract


def test_a_change_is_rightful_by_its_holder_only(gadget: Contract) -> None:
    one = held_up()
    one.do(A, "SET session:s stale")
    one.do(B, "SET session:s fresh")
    one.script(A, "c1 0 token-of-b", "SET session:s through-another-pod")
    one.script(B, "c1 0 token-of-a", "SET session:s late")
    one.release(B, "s", "token-of-b")
    one.do(B, "SET session:s after")
    one.do("backend-3", "SET session:s never")
    changes = told(one, gadget).changes
    assert [change.rightful for change in changes] == [True, False, True, True, False, False, False]
    acting = [change.acting.token if change.acting else "" for change in changes]
    assert acting == ["token-of-b-0", "token-of-a", "token-of-b", "token-of-b", "token-of-a", "", ""]


def test_of_several_tokens_the_last_acquired_one_acts(gadget: Contract) -> None:
    one = RedisStory()
    one.acquire(A, "s", "token-one")
    one.release(A, "s", "token-one")
    one.acquire(A, "t", "token-other")
    one.acquire(A, "s", "token-two")
    one.script(A, "c1 0 token-two token-one token-other", "SET session:s 1")
    (change,) = told(one, gadget).changes
    assert change.acting
    assert change.acting.token == "token-two"  # noqa: S105  of a lock


def test_a_short_token_is_not_looked_for(gadget: Contract) -> None:
    for token, found in (("7654321", False), ("87654321", True)):
        one = RedisStory()
        one.do(A, LOCK % token)
        one.script(B, f"c1 0 {token}", "SET session:s 1")
        assert [change.rightful for change in told(one, gadget).changes] == [found]


def test_what_changes_nothing_is_no_change(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, "SET session:s 1")
    one.do(A, "SET session:s 1")
    one.do(A, "EXPIRE session:s 10", reply=1)
    one.do(A, "PERSIST session:s", reply=1)
    one.do(A, "SET session:s 2 NX", reply=None)
    one.do(A, "DEL session:t", reply=0)
    assert len(told(one, gadget).changes) == 1
    one.do(A, "HSET session:s f 1", reply=1)
    assert len(told(one, gadget).changes) == 2


def test_what_went_has_changed_though_nobody_knows_what_it_was(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, "HSET session:s f 1", reply=1)
    one.do(B, "DEL session:s", reply=1)
    one.do(B, "DEL session:s", reply=0)
    assert [change.pod for change in told(one, gadget).changes] == [A, B]
    assert [change.pod for change in told(one, gadget, fresh=False).changes] == [A, B]


def test_a_value_that_was_perhaps_the_same_is_no_change(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, "SET session:s 1")
    assert len(told(one, gadget, fresh=False).changes) == 0
    one.do(A, "SET session:s 2")
    assert [change.first for change in told(one, gadget, fresh=False).changes] == [False]


def test_a_session_is_new_once(gadget: Contract) -> None:
    one = RedisStory()
    for value in (1, 2):
        one.do(A, f"SET session:s {value}")
    assert [change.first for change in told(one, gadget).changes] == [True, False]


def test_a_unit_that_looked_or_watched_has_compared(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, "SET session:s 0")
    one.script(A, "c1 0", "GET session:s", "SET session:s 1")
    one.script(A, "c1 0", "GET session:t", "SET session:s 2")
    one.script(A, "c1 0", "GET lock:session:s", "SET session:s 3")
    one.do(A, "WATCH session:s")
    one.transaction(A, ("SET session:s 4", "OK"))
    one.transaction(A, ("SET session:s 5", "OK"))
    one.do(A, "WATCH session:s")
    one.do(A, "UNWATCH")
    one.do(A, "SET session:s 6")
    one.do(A, "WATCH session:s")
    one.do(B, "SET session:s 7")
    one.do(A, "DISCARD")
    one.do(A, "SET session:s 8")
    compared = [change.compared for change in told(one, gadget).changes]
    assert compared == [False, True, False, False, True, False, False, False, False]


def test_the_next_holder_is_the_first_that_certainly_was_one(gadget: Contract) -> None:
    one = held_up()
    one.release(B, "s", "token-of-b")
    one.acquire(B, "s", "token-of-b-2")
    one.do(A, "SET session:s stale")
    late = told(one, gadget).changes[-1]
    assert late.later
    assert late.later.token == "token-of-b"  # noqa: S105  of a lock


def test_the_keys_of_other_sessions_are_others(gadget: Contract) -> None:
    one = RedisStory()
    one.transaction(A, (LOCK % "token-one", "OK"), ("SET lock:session:t token-two NX PX 10000", "OK"))
    one.do(A, "DEL lock:session:s lock:session:t", reply=2)
    assert {hold.session: hold.end for hold in told(one, gadget).holds} == {"s": "released", "t": "released"}
