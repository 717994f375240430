"""What several watchers of one session got, compared. Each session is told beside a whole run that is right."""

import pytest
from checkers.delivery_story import STREAM, Session
from checkers.test_delivery import right, wrong

from limpet.checkers.agreement import END_WITHIN_S, LAG_S, LATE_S
from limpet.contract import Contract


def test_two_watchers_at_different_places_are_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 5)
        x.gets(1, 6, 7)
        x.connect(2, 0)
        x.told(2, 0)
        x.gets(2, *range(1, 8))
        x.gets(1, 8)
        x.leaves(1)

    right(gadget, tell)


@pytest.mark.parametrize("data", [{"digest": "another"}, {"n": 8}])
def test_one_number_with_two_contents_is_violated(gadget: Contract, data: dict[str, object]) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 6)
        x.joins(2, 6)
        x.gets(1, 7)
        x.gets(2, 7, **data)

    assert "different messages 7" in wrong(gadget, tell, "same for all")


def test_an_event_of_another_session_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 6)
        x.gets(1, 7)
        x.gets(1, 3, of="s0")
        x.gets(1, 8)

    assert "an event of s0" in wrong(gadget, tell, "same for all")


def test_a_watcher_that_is_left_behind_is_violated(gadget: Contract) -> None:
    def tell(x: Session, wait_s: float) -> None:
        x.joins(1, 0)
        x.joins(2, 0)
        x.gets(1, 1, 2)
        x.gets(2, 1)
        x.script.wait(wait_s)
        x.leaves(2)
        x.gets(2, 2)

    assert "got nothing after 1" in wrong(gadget, lambda x: tell(x, LATE_S), "same for all")
    right(gadget, lambda x: tell(x, LATE_S - 0.1))


def test_a_watcher_that_still_catches_up_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, *range(1, 9))
        x.resumes(2, 0)
        for seq in range(1, 8):
            x.script.wait(LATE_S / 5)
            x.gets(2, seq)
        x.leaves(2)

    right(gadget, tell)


def test_a_watcher_that_is_cut_off_may_lack_what_others_have(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.joins(2, 0)
        x.gets(1, 1, 2)
        x.script.wait(LATE_S)
        x.closed(2, 1012)

    right(gadget, tell)


def test_a_watcher_that_is_let_in_and_told_nothing_is_violated(gadget: Contract) -> None:
    def tell(x: Session, wait_s: float) -> None:
        x.joins(1, 0)
        x.connect(2, 3, STREAM)
        x.script.wait(wait_s)
        x.leaves(2)

    wrong(gadget, lambda x: tell(x, LATE_S), "resume")
    right(gadget, lambda x: tell(x, LATE_S - 0.1))


def test_a_joining_watcher_that_is_given_old_events_is_violated(gadget: Contract) -> None:
    def tell(x: Session, wait_s: float) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)
        x.script.wait(wait_s)
        x.joins(2, 0)
        x.gets(2, 1, 2, 3)

    assert "joined and was told to stand at 0" in wrong(gadget, lambda x: tell(x, LAG_S), "join")
    right(gadget, lambda x: tell(x, LAG_S - 0.1))  # a replica may learn of it a moment later


def test_a_watcher_that_joins_after_the_end_gets_the_end_alone(gadget: Contract) -> None:
    def tell(x: Session, start: int) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)
        x.ends(1, 4)
        x.script.wait(LAG_S)
        x.joins(2, start)
        if start < 3:
            x.gets(2, *range(start + 1, 4))
        if start < 4:
            x.ends(2, 4, code=None)
        x.closed(2)

    right(gadget, lambda x: tell(x, 3))
    right(gadget, lambda x: tell(x, 4))
    wrong(gadget, lambda x: tell(x, 1), "join")


def test_a_session_that_is_not_found_is_violated(gadget: Contract) -> None:
    def joins(x: Session) -> None:
        x.connect(1)
        x.script.add("message", "error", 1, "x", code="not_found")
        x.closed(1, 4404)

    def resumes(x: Session) -> None:
        x.connect(1, 3, STREAM)
        x.closed(1, 4404)

    def deleted(x: Session) -> None:
        x.delete()
        joins(x)

    wrong(gadget, joins, "join")
    wrong(gadget, resumes, "resume")
    right(gadget, deleted)


def test_a_watcher_that_is_never_let_in_is_violated(gadget: Contract) -> None:
    def never(x: Session) -> None:
        x.script.op("connect", 1, "x", {"watcher": 1, "after": 3}, type_="fail", status=502, text="elsewhere")
        x.script.op("connect", 1, "x", {"watcher": 1, "after": 3}, type_="fail", status=502, text="elsewhere")

    def later(x: Session) -> None:
        x.script.op("connect", 1, "x", {"watcher": 1, "after": 3}, type_="fail", status=502, text="elsewhere")
        x.script.op("connect", 1, "x", {"watcher": 1, "after": 3}, type_="info", error="time-out")
        x.joins(2, 3)

    assert "never let in: 502 elsewhere" in wrong(gadget, never, "resume")
    right(gadget, later)


def test_a_place_beyond_the_end_is_not_recovered(gadget: Contract) -> None:
    def tell(x: Session, *, recovered: bool) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.connect(2, 9, STREAM)
        x.told(2, 9 if recovered else 0, recovered=recovered)
        x.gets(2, *(() if recovered else (1, 2)))

    right(gadget, lambda x: tell(x, recovered=False))
    assert "beyond its end" in wrong(gadget, lambda x: tell(x, recovered=True), "refused resume")


def test_a_place_that_only_another_watcher_was_told_of_is_one(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 41)
        x.leaves(1)
        x.resumes(1, 41)
        x.leaves(1)

    right(gadget, tell)


def test_a_place_that_the_stream_had_is_not_begun_anew(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)
        x.connect(2, 2, STREAM)
        x.told(2, 0, recovered=False)
        x.gets(2, 1, 2, 3)

    assert "which the stream had" in wrong(gadget, tell, "resume")


def test_a_loss_that_is_none_is_violated_unless_something_was_disturbed(gadget: Contract) -> None:
    def a_gap(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3, 4)
        x.connect(2, 1, STREAM)
        x.told(2, 1, recovered=False)
        x.gap(2, 2, 3)
        x.gets(2, 4)
        x.resumes(3, 0)
        x.gets(3, 1, 2, 3, 4)

    def begun_with_the_newest(x: Session) -> None:
        x.connect(1, 7, "01FOREIGN")
        x.told(1, 3, recovered=False)
        x.gets(1, 4)
        x.resumes(2, 0)
        x.gets(2, 1, 2, 3, 4)

    for tell in (a_gap, begun_with_the_newest):
        wrong(gadget, tell, "resume")
        right(gadget, tell, fault=True)


def test_what_was_trimmed_after_somebody_got_it_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, *range(1, 21))
        x.connect(2, 0)
        x.told(2, 0, recovered=False)
        x.gap(2, 1, 15)
        x.gets(2, *range(16, 21))

    right(gadget, tell)


def test_numbers_beyond_the_end_at_another_watcher_are_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.joins(2, 0)
        x.gets(1, 1)
        x.ends(1, 2)
        x.gets(2, 1)
        x.gets(2, 3, n=2)
        x.leaves(2)

    wrong(gadget, tell, "nothing after the end", "gapless or announced")


def test_an_end_that_does_not_come_is_violated(gadget: Contract) -> None:
    def tell(x: Session, wait_s: float) -> None:
        x.joins(1, 0)
        x.gets(1, 1)
        x.delete()
        x.script.wait(wait_s)
        x.leaves(1)

    assert "did not get its end" in wrong(gadget, lambda x: tell(x, END_WITHIN_S), "nothing after the end")
    right(gadget, lambda x: tell(x, END_WITHIN_S - 0.1))


def test_a_stream_that_is_closed_as_ended_without_its_end_is_violated(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1)
        x.closed(1, 1000)

    wrong(gadget, tell, "nothing after the end")


def test_after_its_end_a_stream_is_closed_with_1000(gadget: Contract) -> None:
    def otherwise(x: Session) -> None:
        x.joins(1, 0)
        x.ends(1, 1, code=1006)

    def not_at_all(x: Session) -> None:
        x.joins(1, 0)
        x.ends(1, 1, code=None)
        x.script.wait(LATE_S)
        x.leaves(1)

    def left_at_once(x: Session) -> None:
        x.joins(1, 0)
        x.ends(1, 1, code=None)
        x.leaves(1)

    wrong(gadget, otherwise, "nothing after the end")
    right(gadget, otherwise, fault=True)
    wrong(gadget, not_at_all, "nothing after the end")
    right(gadget, left_at_once)


def test_a_jump_of_the_source_is_held_where_an_interruption_stands(gadget: Contract) -> None:
    def tell(x: Session, *, announced: bool) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        if announced:
            x.interruption(1, 3)
        x.gets(1, 3 + announced, n=9)

    right(gadget, lambda x: tell(x, announced=True))
    assert "counts 2 in message 2 and 9 in 3" in wrong(gadget, lambda x: tell(x, announced=False), "source count")


@pytest.mark.parametrize("count", [2, 1])
def test_a_count_that_repeats_is_violated_even_after_an_interruption(gadget: Contract, count: int) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.interruption(1, 3)
        x.gets(1, 4, n=count)

    wrong(gadget, tell, "source count")


def test_an_interruption_elsewhere_explains_no_jump(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1)
        x.interruption(1, 2)
        x.gets(1, 3, n=2)
        x.gets(1, 4, n=9)

    wrong(gadget, tell, "source count")


def test_a_join_at_an_interruption_is_held(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 2)
        x.interruption(1, 3)
        x.gets(1, 4, n=40)
        x.gets(1, 5, n=41)

    right(gadget, tell)


def test_a_count_between_unknown_messages_is_not_judged(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2)
        x.leaves(1)
        x.joins(2, 7)  # 3 to 7 may have been interruptions
        x.gets(2, 8, n=20)
        x.gets(2, 9, n=None)  # one that the source did not count
        x.gets(2, 10, n=22)

    right(gadget, tell)


def test_a_new_stream_is_held_after_a_loss_and_violated_without_one(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 2, 3)
        x.closed(1, 1012)
        x.connect(1, 3, STREAM)
        x.told(1, 0, recovered=False, stream="02NEW")
        x.gets(1, 1, 2, digest="of the new one")

    right(gadget, tell, fault=True)
    assert "nothing was disturbed" in wrong(gadget, tell, "same for all")


def test_a_stream_that_gave_way_is_only_for_those_who_ask_for_it(gadget: Contract) -> None:
    def tell(x: Session, *, asks: bool) -> None:
        x.joins(1, 0)
        x.joins(2, 0, pod="i-b")
        x.told(1, 0, recovered=False, stream="02NEW")
        if asks:
            x.resumes(3, 0)
        else:
            x.joins(3, 0)

    right(gadget, lambda x: tell(x, asks=True), fault=True)
    assert "back to" in wrong(gadget, lambda x: tell(x, asks=False), "same for all", fault=True)
