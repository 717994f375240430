"""What is said of one schedule: the true faults, each under its own name, and nothing against what is right."""

import pytest
from checkers.redis_story import A, B
from races.race_story import KEY, RaceStory, kinds

from limpet.checkers import interleavings
from limpet.checkers.interleavings import SCHEDULES, drawn, schedules
from limpet.contract import Contract
from limpet.history import Line, Section
from limpet.verdict import Part, Verdict

BOTH_UPDATE = ("A", "update"), ("B", "update")


def sections(one: RaceStory) -> RaceStory:
    """A's section, then B's, and what clients were told."""
    one.section_of(A, "s", "token-of-a", "from-a", rival=B)
    one.update(1, "a")
    one.section_of(B, "s", "token-of-b", "from-b")
    one.update(2, "b")
    one.read("b")
    return one


def overtaken(one: RaceStory) -> RaceStory:
    """A's lock expires in its section, and B takes it."""
    one.acquire(A, "s", "token-of-a")
    one.expires()
    one.acquire(B, "s", "token-of-b")
    return one


def test_sections_one_after_the_other_are_right(gadget: Contract) -> None:
    judged = sections(RaceStory(*BOTH_UPDATE)).judge(gadget)
    assert (judged.violations, judged.doubt, judged.acquired) == ((), "", 2)


def test_a_late_holder_that_is_refused_is_right(gadget: Contract) -> None:
    one = overtaken(RaceStory(*BOTH_UPDATE))
    one.commit(A, "s", "token-of-a", "late", done=False)
    one.release(A, "s", "token-of-a", done=False)
    one.commit(B, "s", "token-of-b", "from-b")
    one.release(B, "s", "token-of-b")
    assert kinds(one.judge(gadget)) == []


def test_a_lock_that_expires_with_nobody_behind_it_is_right(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.acquire(A, "s", "token-of-a")
    one.expires()
    one.release(A, "s", "token-of-a", done=False)
    assert kinds(one.judge(gadget)) == []


def test_a_release_of_what_passed_to_another_is_found(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.do(A, "SET lock:session:s token-of-a NX PX 10000")
    one.expires()
    taken = one.do(B, "SET lock:session:s token-of-b NX PX 10000")
    released = one.do(A, "DEL lock:session:s", reply=1)
    judged = one.judge(gadget)
    assert kinds(judged) == ["only the holder releases"]
    assert judged.violations[0].lines == (taken, released)


def test_without_the_expiry_the_same_release_is_the_holders_own(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.acquire(A, "s", "token-of-a")
    one.do(A, "DEL lock:session:s", reply=1)
    one.acquire(B, "s", "token-of-b")
    one.release(B, "s", "token-of-b")
    assert kinds(one.judge(gadget)) == []


def test_a_lock_that_is_taken_from_its_holder_is_found(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.acquire(A, "s", "token-of-a")
    one.script(B, "a1 2 lock:session:s token-of-b", "SET lock:session:s token-of-b PX 10000")
    assert "one holder" in kinds(one.judge(gadget))


def late_commit(one: RaceStory) -> RaceStory:
    overtaken(one)
    one.commit(A, "s", "token-of-a", "late")
    one.release(A, "s", "token-of-a", done=False)
    one.release(B, "s", "token-of-b")
    return one


def test_a_late_holder_that_writes_is_found_where_there_are_fences(gadget: Contract) -> None:
    assert kinds(late_commit(RaceStory(*BOTH_UPDATE)).judge(gadget)) == ["stale holder cannot write"]


def test_a_late_holder_that_writes_is_not_blamed_where_there_are_none(guide: Contract) -> None:
    assert kinds(late_commit(RaceStory(*BOTH_UPDATE)).judge(guide)) == []


def look_and_write(one: RaceStory, *order: str) -> RaceStory:
    """Each looks at the record and writes it, in this order, under no lock."""
    looked = set()
    for pod in order:
        if pod in looked:
            one.do(pod, f"SET session:s from-{pod}")
        else:
            one.do(pod, "GET session:s", reply="(as it was created)")
        looked.add(pod)
    return one


def test_an_update_over_one_that_was_not_seen_is_lost(gadget: Contract) -> None:
    judged = look_and_write(RaceStory(*BOTH_UPDATE), A, B, A, B).judge(gadget)
    assert kinds(judged)[0] == "no lost update"
    assert "backend-2 wrote over a change" in judged.violations[0].seen


def test_an_update_of_what_was_seen_is_not_lost(gadget: Contract) -> None:
    judged = look_and_write(RaceStory(*BOTH_UPDATE), A, A, B, B).judge(gadget)
    assert set(kinds(judged)) == {"changes under the lock"}


def test_updates_that_meet_after_an_expiry_are_not_lost_where_there_are_no_fences(guide: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.do(A, "SET lock:session:s token-of-a NX PX 10000")
    one.do(A, "GET session:s", reply="(as it was created)")
    one.expires()
    one.do(B, "SET lock:session:s token-of-b NX PX 10000")
    one.do(B, "GET session:s", reply="(as it was created)")
    one.do(B, "SET session:s from-b")
    one.do(A, "SET session:s from-a")
    one.release(B, "s", "token-of-b")
    assert kinds(one.judge(guide)) == []


def test_a_session_that_comes_back_is_found(gadget: Contract) -> None:
    one = RaceStory(("A", "update"), ("B", "delete"))
    one.op("delete", 2, "s")
    one.update(1, "late")
    one.read("late")
    assert kinds(one.judge(gadget)) == ["linearizable"]


def test_a_delete_that_two_are_told_of_is_found(gadget: Contract) -> None:
    one = RaceStory(("A", "delete"), ("B", "delete"))
    one.op("delete", 1, "s")
    one.op("delete", 2, "s")
    assert kinds(one.judge(gadget)) == ["linearizable"]


def test_a_delete_of_which_the_other_is_told_that_nothing_was_there_is_right(gadget: Contract) -> None:
    one = RaceStory(("A", "delete"), ("B", "delete"))
    one.op("delete", 1, "s")
    one.op("delete", 2, "s", type_="fail", status=404)
    one.read(None)
    assert kinds(one.judge(gadget)) == []


def test_an_answer_that_something_broke_is_found(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.update(1, "a", type_="info", status=500)
    assert kinds(one.judge(gadget)) == ["answered"]


@pytest.mark.parametrize(("made", "found"), [("s", []), ("another", ["made once"])])
def test_a_create_with_the_same_key_makes_nothing_else(gadget: Contract, made: str, found: list[str]) -> None:
    one = RaceStory(("A", "create"), ("B", "create"))
    one.op("create", 1, made, {"id": made}, key=KEY)
    assert kinds(one.judge(gadget)) == found


def test_a_create_with_another_key_has_nothing_to_do_with_it(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    one.op("create", 8, "next", {"id": "next"}, key="key-of-next")
    assert kinds(one.judge(gadget)) == []


@pytest.mark.parametrize("left_ms", [-1, 1500])
def test_a_lock_that_is_left_is_found(gadget: Contract, left_ms: int) -> None:
    one = RaceStory(*BOTH_UPDATE)
    assert kinds(one.judge(gadget, left_ms=left_ms)) == ["none leaks"]


def test_a_lock_that_is_left_by_calls_that_did_not_end_is_not_judged(gadget: Contract) -> None:
    judged = RaceStory(*BOTH_UPDATE).judge(gadget, left_ms=1500, doubt="its calls did not come to their end in time")
    assert (kinds(judged), judged.doubt) == ([], "its calls did not come to their end in time")


def test_a_lock_that_is_done_with_in_a_way_that_is_not_understood_is_doubted(gadget: Contract) -> None:
    one = RaceStory(*BOTH_UPDATE)
    line = one.do(A, "APPEND lock:session:s more", reply=4)
    assert f"{line}" in one.judge(gadget).doubt


def history(*stories: list[Line]) -> Section:
    lines = [Line(0, "begin", "locking"), *(line for lines in stories for line in lines)]
    return Section([*lines, Line(1, "end", "locking")], "history-locking.jsonl")


def judged_part(section: Section, contract: Contract) -> Part:
    return drawn(section, [interleavings.judge(lines, contract) for lines in schedules(section)])


def test_enough_schedules_are_held_and_fewer_are_not(gadget: Contract) -> None:
    right = list(sections(RaceStory(*BOTH_UPDATE)).lines())
    part = judged_part(history(*[right] * SCHEDULES), gadget)
    assert (part.verdict, part.had) == (Verdict.HELD, SCHEDULES)
    assert judged_part(history(*[right] * (SCHEDULES - 1)), gadget).verdict is Verdict.UNKNOWN


def test_a_schedule_that_says_nothing_does_not_count(gadget: Contract) -> None:
    right = list(sections(RaceStory(*BOTH_UPDATE)).lines(doubt="MONITOR was lost"))
    assert judged_part(history(right), gadget).had == 0


def test_a_schedule_that_was_cut_off_is_none(gadget: Contract) -> None:
    right = list(sections(RaceStory(*BOTH_UPDATE)).lines())
    assert judged_part(history(right[:-1], right), gadget).had == 1


def test_a_finding_names_the_lines_of_the_file_and_the_command_that_repeats_it(gadget: Contract) -> None:
    right, wrong = list(sections(RaceStory(*BOTH_UPDATE)).lines()), list(late_commit(RaceStory(*BOTH_UPDATE)).lines())
    (finding,) = judged_part(history(right, wrong, wrong), gadget).findings
    commit = next(no for no, line in enumerate(wrong, 2 + len(right)) if line.data.get("args", [""])[-1] == "late")
    assert "history-locking.jsonl lines" in finding.where
    assert str(commit + 2) in finding.where
    assert "repeat: limpet races --schedule 'A:update B:update'" in finding.seen


def test_where_nothing_can_be_drawn_the_part_does_not_count(gadget: Contract) -> None:
    section = history([Line(1, "schedule", "unsupported", data={"why": "link: this target cannot"})])
    assert judged_part(section, gadget).verdict is Verdict.NOT_CLAIMED
