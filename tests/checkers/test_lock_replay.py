"""Who held a lock when, and how it ended."""

from checkers.redis_story import TTL_MS, A, B, RedisStory
from checkers.replay_story import LOCK, ends, held_up, the, told

from limpet.contract import Contract


def test_a_section_is_one_hold_with_its_life_its_fence_and_its_end(gadget: Contract) -> None:
    one = RedisStory()
    one.section_of(A, "s", "token-one", "1")
    one.section_of(B, "s", "token-two", "2", rival=A)
    story = told(one, gadget)
    assert [(hold.fence, hold.end, hold.used, hold.contended) for hold in story.holds] == [
        ("1", "released", True, False),
        ("2", "released", True, True),
    ]


def test_a_late_holder_is_overtaken_and_returns_while_the_other_holds(gadget: Contract) -> None:
    one = held_up()
    one.commit(A, "s", "token-of-a", "stale", done=False)
    story = told(one, gadget)
    late = the(story, "token-of-a")
    assert (late.end, late.returned, late.met) == ("expired", True, True)


def test_a_late_holder_that_returns_when_the_other_is_done_met_nobody(gadget: Contract) -> None:
    one = held_up()
    one.release(B, "s", "token-of-b")
    one.commit(A, "s", "token-of-a", "stale", done=False)
    late = the(told(one, gadget), "token-of-a")
    assert (late.returned, late.met) == (True, False)


def test_a_late_holder_that_asks_anew_has_not_returned(gadget: Contract) -> None:
    one = held_up()
    one.acquire(A, "s", "token-of-a-2", granted=False)
    one.release(B, "s", "token-of-b")
    one.section_of(A, "s", "token-of-a-3", "1")
    assert not any(hold.returned for hold in told(one, gadget).holds)


def test_a_pod_that_acquires_again_after_its_own_expiry_is_not_overtaken(gadget: Contract) -> None:
    one = RedisStory()
    one.acquire(A, "s", "token-one")
    one.wait(11)
    one.acquire(A, "s", "token-two")
    one.commit(A, "s", "token-two", "1")
    story = told(one, gadget)
    assert (ends(story), the(story, "token-one").overtaken_no) == ({"token-one": "expired", "token-two": "open"}, 0)


def test_a_lock_that_nobody_takes_expires_by_itself(gadget: Contract) -> None:
    for seconds, end in ((9, "open"), (11, "expired")):
        one = RedisStory()
        one.acquire(A, "s", "token-one")
        one.wait(seconds)
        one.do(B, "GET other", reply=None)
        assert ends(told(one, gadget)) == {"token-one": end}


def test_a_lock_that_lives_up_to_the_last_command_is_open(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.wait(9.999)
    one.do(B, "GET other", reply=None)
    assert ends(told(one, gadget)) == {"token-one": "open"}


def test_who_watches_a_held_lock_contends(gadget: Contract) -> None:
    for pod, wait_s, contended in ((B, 1, True), (A, 1, False), (B, 9.99, False), (B, 11, False)):
        one = RedisStory()
        one.do(A, LOCK % "token-one")
        one.wait(wait_s)
        one.do(pod, "WATCH lock:session:s")
        assert the(told(one, gadget), "token-one").contended is contended


def test_a_look_that_is_no_watch_contends_with_nobody(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.do(B, "GET lock:session:s", reply="token-one")
    one.do(B, "WATCH session:s")
    assert not the(told(one, gadget), "token-one").contended


def test_who_is_refused_contends_but_not_with_his_own(gadget: Contract) -> None:
    for pod, contended in ((B, True), (A, False)):
        one = RedisStory()
        one.do(A, LOCK % "token-one")
        one.do(pod, LOCK % "token-two", reply=None)
        story = told(one, gadget)
        assert (len(story.holds), story.holds[0].contended) == (1, contended)


def test_fences_are_counted_without_replies(gadget: Contract) -> None:
    one = RedisStory(links=False)
    for token, count in (("token-one", "INCR fence:session:s"), ("token-two", "INCRBY fence:session:s 5")):
        one.do(A, f"SET lock:session:s {token} PX {TTL_MS}")
        one.do(A, count)
        one.do(A, "DEL lock:session:s")
    assert [hold.fence for hold in told(one, gadget).holds] == ["1", "6"]
    assert [hold.fence for hold in told(one, gadget, fresh=False).holds] == ["?", "?"]


def test_what_is_no_number_cannot_be_counted_up(gadget: Contract) -> None:
    one = RedisStory(links=False)
    for token, count in (("token-one", "SET fence:session:s many"), ("token-two", "INCR fence:session:s")):
        one.do(A, f"SET lock:session:s {token} PX {TTL_MS}")
        one.do(A, count)
    assert [hold.fence for hold in told(one, gadget).holds] == ["many", "?"]


def test_a_fence_that_was_perhaps_not_set_is_not_known_and_one_that_was_not_is_none(gadget: Contract) -> None:
    for reply, outcome, fence in ((None, "replied", ""), (None, "unknown", "?"), ("OK", "replied", "7")):
        one = RedisStory()
        one.do(B, "SET fence:session:s 6 PX 50")
        one.wait(0.05)  # perhaps it is gone
        one.do(A, LOCK % "token-one")
        one.do(A, "SET fence:session:s 7 NX", reply=reply, outcome=outcome)
        assert the(told(one, gadget), "token-one").fence == fence


def test_a_fence_may_be_made_to_live_without_being_another(gadget: Contract) -> None:
    one = RedisStory()
    one.acquire(A, "s", "token-one")
    one.do(A, "EXPIRE fence:session:s 100", reply=1)
    one.do(A, "DEL lock:session:s", reply=1)
    one.do(A, LOCK % "token-two")
    one.do(A, "PERSIST fence:session:s", reply=1)
    assert [hold.fence for hold in told(one, gadget).holds] == ["1", ""]


def test_the_first_fence_that_comes_with_a_lock_is_its_own(gadget: Contract) -> None:
    one = RedisStory()
    one.acquire(A, "s", "token-one")
    one.do(A, "INCR fence:session:s", reply=2)
    one.do(B, "INCR fence:session:s", reply=3)  # another's
    one.release(A, "s", "token-one")
    one.transaction(B, ("INCR fence:session:s", 4), (LOCK % "token-two", "OK"))
    one.release(B, "s", "token-two")
    one.do(B, "INCR fence:session:s", reply=5)  # in a unit of its own, before the lock: nobody's
    one.do(A, LOCK % "token-three")
    assert [hold.fence for hold in told(one, gadget).holds] == ["1", "4", ""]


def test_a_fence_that_another_takes_is_not_the_holders(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.do(B, "INCR fence:session:s", reply=1)
    assert the(told(one, gadget), "token-one").fence == ""


def test_a_fence_that_a_script_takes_for_a_token_is_its_though_another_pod_sent_it(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.script(B, "f1 0 token-one", "INCR fence:session:s")
    assert the(told(one, gadget), "token-one").fence == "1"


def test_taking_what_is_held_ends_the_other_hold_and_is_an_intrusion(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.do(B, "SET lock:session:s token-two PX 10000")
    story = told(one, gadget)
    assert (ends(story)["token-one"], [(i.what, i.pod) for i in story.intrusions]) == ("taken", [("overwrote", B)])


def test_taking_what_is_perhaps_gone_is_no_intrusion(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.wait(9.99)
    one.do(B, "SET lock:session:s token-two PX 10000")
    assert not told(one, gadget).intrusions


def test_a_unit_that_names_the_token_may_put_another_in_its_place(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.script(A, "x1 0 token-one token-two", "SET lock:session:s token-two PX 10000")
    story = told(one, gadget)
    assert (ends(story), story.intrusions) == ({"token-one": "released", "token-two": "open"}, [])


def test_the_holder_may_say_it_again_and_lives_longer(gadget: Contract) -> None:
    for pod, condition in ((A, ""), (A, "XX"), (B, "XX"), (B, "IFEQ token-one")):
        one = RedisStory()
        one.do(A, LOCK % "token-one")
        one.wait(8)
        one.do(pod, f"SET lock:session:s token-one {condition} PX 10000")
        story = told(one, gadget)
        assert (len(story.holds), story.holds[0].until_us) == (1, story.holds[0].at_us + 18_001_000)


def test_a_lock_that_was_taken_again_is_released_as_one(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.do(A, "SET lock:session:s token-one PX 10000")
    one.do(A, "DEL lock:session:s", reply=1)
    assert ends(told(one, gadget)) == {"token-one": "released"}


def test_a_lock_that_is_counted_up_is_somebodys(gadget: Contract) -> None:
    one = RedisStory(links=False)
    one.do(A, "INCR lock:session:s")
    one.do(B, LOCK % "token-one")
    assert told(one, gadget).holds == []


def test_what_is_told_of_several_locks_stands_in_the_order_of_the_lines(gadget: Contract) -> None:
    one = RedisStory()
    for session in ("s", "t"):
        one.do(A, f"SET lock:session:{session} token-of-{session} NX PX {TTL_MS}")
    for session in ("t", "s"):
        one.do(B, f"PERSIST lock:session:{session}", reply=1)
        one.do(B, f"DEL lock:session:{session}", reply=1)
        one.do(B, f"HSET lock:session:{session} f 1", reply=1)
    story = told(one, gadget)
    assert [intrusion.no for intrusion in story.intrusions] == [5, 6, 8, 9]
    assert [no for no, _ in story.permanent] == [5, 8]
    assert [no for no, _ in story.puzzles] == [7, 10]


def test_another_that_says_it_without_a_condition_has_overwritten_it(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.do(B, "SET lock:session:s token-one PX 10000")
    assert len(told(one, gadget).intrusions) == 1


def test_a_hold_is_prolonged_shortened_made_to_live_for_ever_or_ended_by_its_life(gadget: Contract) -> None:
    for command, end in (
        ("PEXPIRE lock:session:s 20000", "open"),
        ("PERSIST lock:session:s", "open"),
        ("PEXPIRE lock:session:s 0", "released"),
        ("PEXPIRE lock:session:s 1", "open"),
        ("GETEX lock:session:s", "open"),
        ("GETEX lock:session:s EX 5", "open"),
        ("DELIFEQ lock:session:s token-one", "released"),
    ):
        one = RedisStory()
        one.do(A, LOCK % "token-one")
        one.do(A, command, reply=1)
        assert ends(told(one, gadget)) == {"token-one": end}


def test_another_that_touches_it_intrudes(gadget: Contract) -> None:
    for command, what in (
        ("DEL lock:session:s", "released"),
        ("PEXPIRE lock:session:s 20000", "prolonged"),
        ("PERSIST lock:session:s", "prolonged"),
        ("EXPIRE lock:session:s 0", "prolonged"),
    ):
        one = RedisStory()
        one.do(A, LOCK % "token-one")
        one.do(B, command, reply=1)
        assert [(i.what, i.pod) for i in told(one, gadget).intrusions] == [(what, B)]


def test_what_is_perhaps_without_effect_is_no_intrusion(gadget: Contract) -> None:
    one = RedisStory(links=False)
    one.do(A, LOCK % "token-one")
    one.do(B, "DELIFEQ lock:session:s token-two")
    assert not told(one, gadget).intrusions


def test_the_life_of_a_lock_that_is_set_in_the_same_unit_is_its_ttl(gadget: Contract) -> None:
    one = RedisStory()
    one.transaction(A, ("SETNX lock:session:s token-one", 1), ("PEXPIRE lock:session:s 7000", 1))
    one.do(A, "PEXPIRE lock:session:s 9000", reply=1)
    one.do(A, "PERSIST lock:session:s", reply=1)
    story = told(one, gadget)
    assert (story.holds[0].ttl_ms, [hold.token for _, hold in story.permanent]) == (7000, ["token-one"])


def test_an_acquisition_of_unknown_outcome_is_not_certain_and_one_that_was_not_told_not_answered(
    gadget: Contract,
) -> None:
    for outcome, certain, answered in (
        ("replied", True, True),
        ("undelivered", True, False),
        ("unknown", True, False),  # the lock was certainly free
    ):
        one = RedisStory()
        one.do(A, LOCK % "token-one", outcome=outcome)
        hold = the(told(one, gadget), "token-one")
        assert (hold.certain, hold.answered) == (certain, answered)
    one = RedisStory()
    one.do(B, LOCK % "token-zero")
    one.wait(9.99)
    one.do(A, LOCK % "token-one", outcome="unknown")
    assert not the(told(one, gadget), "token-one").certain


def test_what_cannot_be_is_a_puzzle(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, LOCK % "token-one")
    one.do(B, LOCK % "token-two")
    one.do(B, "DEL lock:session:t", reply=1)
    one.do(B, "HSET lock:session:s f 1", reply=1)
    one.do(B, "APPEND fence:session:s 1", reply=1)
    assert len(told(one, gadget).puzzles) == 4


def test_a_lock_that_was_there_before_is_somebodys(gadget: Contract) -> None:
    one = RedisStory()
    one.do(A, "DEL lock:session:s", reply=1)
    one.do(A, "PEXPIRE lock:session:t 10", reply=1)
    one.do(A, "SET lock:session:u token-one PX 10000")
    story = told(one, gadget, fresh=False)
    assert (story.intrusions, story.puzzles) == ([], [])
    assert len(told(one, gadget, fresh=False, unlocked=True).puzzles) == 2
