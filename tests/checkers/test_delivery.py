"""What one watcher gets, by itself. Each session is told beside a whole run that is right."""

from collections.abc import Callable

import pytest
from checkers.delivery_story import STREAM, Session, beside
from checkers.expect import held, part, violated

from limpet.checkers.continuity import delivered
from limpet.contract import Contract

Tell = Callable[[Session], None]


def right(contract: Contract, tell: Tell, *, fault: bool = False) -> None:
    held(delivered(beside(tell, fault=fault).section(), contract))


def wrong(contract: Contract, tell: Tell, *parts: str, fault: bool = False) -> str:
    judgement = delivered(beside(tell, fault=fault).section(), contract)
    violated(judgement, *parts)
    return part(judgement, parts[0]).reason


def test_a_join_in_the_middle_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 41)
        x.gets(1, 42, 43)
        x.leaves(1)

    right(gadget, tell)


def test_a_watcher_that_leaves_before_it_was_told_anything_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.connect(1)
        x.leaves(1)
        x.connect(2, 5, STREAM)
        x.closed(2, 1006)

    right(gadget, tell)


def test_a_connection_that_is_still_open_at_the_end_of_the_record_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)

    right(gadget, tell)


def test_a_message_that_comes_twice_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 2, 3)

    assert "got 2 twice" in wrong(gadget, tell, "once")


def test_a_page_that_comes_twice_after_a_resume_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.resumes(1, 0)
        x.gets(1, 1, 2, 3, 2, 3, 4)

    wrong(gadget, tell, "once")


def test_another_order_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 4, 3, 5)

    assert "got 3 after 4" in wrong(gadget, tell, "order")


def test_an_event_from_before_the_start_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 10)
        x.gets(1, 10, 11)

    wrong(gadget, tell, "order")


def test_an_event_without_a_number_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.script.add("message", "event", 1, "x", None, payload={})

    wrong(gadget, tell, "order")


def test_a_frame_that_is_no_message_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.script.add("message", "unreadable", 1, "x", frame="<html>")

    wrong(gadget, tell, "order")


def test_an_unknown_message_without_a_number_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.script.add("message", "server_busy", 1, "x")
        x.gets(1, 1)

    right(gadget, tell)


def test_a_silent_hole_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 5)

    assert "did not get 3 to 4" in wrong(gadget, tell, "gapless or announced")


def test_a_hole_right_after_joining_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 7)
        x.gets(1, 9)

    wrong(gadget, tell, "gapless or announced")


def test_an_announced_gap_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.gap(1, 3, 40)
        x.gets(1, 41, 42)

    right(gadget, tell)


def test_a_gap_that_is_shorter_than_the_loss_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.gap(1, 3, 4)
        x.gets(1, 6)

    assert "did not get 5" in wrong(gadget, tell, "gapless or announced")


def test_a_gap_over_what_comes_or_came_is_violated(gadget: Contract) -> None:
    def over_the_next(x: Session) -> None:
        x.joins(1, 0)
        x.gap(1, 1, 3)
        x.gets(1, 3, 4)

    def over_the_last(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.gap(1, 2, 3)
        x.gets(1, 4)

    def over_the_start(x: Session) -> None:
        x.joins(1, 5)
        x.gap(1, 5, 7)
        x.gets(1, 8)

    for tell in (over_the_next, over_the_last, over_the_start):
        wrong(gadget, tell, "gapless or announced")


@pytest.mark.parametrize(("first", "last"), [(3, 2), ("3", 4), (None, None), (True, 4)])
def test_a_gap_that_is_no_range_is_violated(gadget: Contract, first: object, last: object) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.gap(1, first, last)
        x.gets(1, 3)

    wrong(gadget, tell, "gapless or announced")


def test_one_loss_in_two_gaps_is_violated_and_two_losses_in_two_are_held(gadget: Contract) -> None:
    def one(x: Session) -> None:
        x.joins(1, 0)
        x.gap(1, 1, 2)
        x.gap(1, 3, 4)
        x.gets(1, 5)

    def two(x: Session) -> None:
        x.joins(1, 0)
        x.gap(1, 1, 2)
        x.gets(1, 3)
        x.gap(1, 4, 4)
        x.gets(1, 5)

    wrong(gadget, one, "gapless or announced")
    right(gadget, two)


@pytest.mark.parametrize("kind", ["event", "interruption", "session_ended"])
def test_anything_after_the_end_is_violated(gadget: Contract, kind: str) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1)
        x.ends(1, 2, code=None)
        x.script.add("message", kind, 1, "x", 3)
        x.closed(1)

    assert "after its end" in wrong(gadget, tell, "nothing after the end")


def test_a_resume_that_brings_the_last_one_again_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.resumes(1, 41)
        x.gets(1, 41, 42)

    assert "stood at 41 and got 41" in wrong(gadget, tell, "resume")


def test_a_resume_that_leaves_one_out_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.resumes(1, 41)
        x.gets(1, 43, 44)

    assert "did not get 42" in wrong(gadget, tell, "resume")


@pytest.mark.parametrize("told", [40, 42, 0])
def test_a_resume_that_is_granted_elsewhere_is_violated(gadget: Contract, told: int) -> None:
    def tell(x: Session) -> None:
        x.joins(2, 41)
        x.gets(2, 42, 43)
        x.connect(1, 41, STREAM)
        x.told(1, told)
        x.gets(1, told + 1)

    wrong(gadget, tell, "resume")


def test_a_resume_that_is_not_answered_is_violated(gadget: Contract) -> None:
    def without_a_word(x: Session) -> None:
        x.connect(1, 41, STREAM)
        x.told(1, 41, recovered=None)
        x.gets(1, 42)

    def without_the_message(x: Session) -> None:
        x.connect(1, 41, STREAM)
        x.gets(1, 42)

    wrong(gadget, without_a_word, "resume")
    wrong(gadget, without_the_message, "resume")


def test_a_resume_with_one_gap_is_held_if_it_says_so(gadget: Contract) -> None:
    def tell(x: Session, *, recovered: bool) -> None:
        x.connect(1, 41, STREAM)
        x.told(1, 41, recovered=recovered)
        x.gap(1, 42, 99)
        x.gets(1, 100)

    right(gadget, lambda x: tell(x, recovered=False))
    wrong(gadget, lambda x: tell(x, recovered=True), "resume")


def test_a_resume_that_loses_nothing_and_says_it_did_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.connect(1, 41, STREAM)
        x.told(1, 41, recovered=False)
        x.gets(1, 42)
        x.ends(1, 43)

    wrong(gadget, tell, "resume")


def test_a_loss_further_on_is_announced_where_it_lies_or_not_yet(gadget: Contract) -> None:
    def a_gap_further_on(x: Session) -> None:
        x.connect(1, 41, STREAM)
        x.told(1, 41, recovered=False)
        x.gets(1, 42)
        x.gap(1, 43, 45)
        x.gets(1, 46)
        x.ends(1, 47)

    def cut_off_before_it(x: Session) -> None:
        x.connect(1, 41, STREAM)
        x.told(1, 41, recovered=False)
        x.gets(1, 42)

    for tell in (a_gap_further_on, cut_off_before_it):
        right(gadget, tell, fault=True)


def test_a_resume_without_a_stream_is_one_of_the_present_stream(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.connect(1, 0)
        x.told(1, 0)
        x.gets(1, 1, 2)

    right(gadget, tell)


def test_another_stream_is_not_recovered_and_begins_with_the_oldest(gadget: Contract) -> None:
    def whole(x: Session) -> None:
        x.connect(1, 41, "01FOREIGN")
        x.told(1, 0, recovered=False)
        x.gets(1, 1, 2)

    def trimmed(x: Session) -> None:
        x.connect(1, 41, "01FOREIGN")
        x.told(1, 0, recovered=False)
        x.gap(1, 1, 30)
        x.gets(1, 31)

    def granted(x: Session) -> None:
        x.connect(1, 41, "01FOREIGN")
        x.told(1, 41)
        x.gets(1, 42)

    right(gadget, whole)
    right(gadget, trimmed)
    assert "was recovered in" in wrong(gadget, granted, "refused resume")


def test_a_slow_reader_that_is_closed_and_comes_back_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.closed(1, 4408)
        x.resumes(1, 2)
        x.gets(1, 3)

    right(gadget, tell)


def test_going_over_to_a_new_stream_on_one_connection_is_a_resume(gadget: Contract) -> None:
    def tell(x: Session, *, recovered: bool) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)
        x.told(1, 0, recovered=recovered, stream="02NEW")
        x.gets(1, 1, 2, n=None)

    right(gadget, lambda x: tell(x, recovered=False), fault=True)
    wrong(gadget, lambda x: tell(x, recovered=True), "refused resume", fault=True)


def test_being_told_again_where_it_stands_is_held(gadget: Contract) -> None:
    def tell(x: Session, seq: int) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)
        x.told(1, seq)
        x.gets(1, seq + 1)

    right(gadget, lambda x: tell(x, 3))
    wrong(gadget, lambda x: tell(x, 2), "resume")
