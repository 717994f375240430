from dataclasses import replace
from time import process_time

from checkers.delivery_story import Session, Story, beside
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.continuity import RECONNECTS, check, delivered
from limpet.contract import Contract, WebSocket
from limpet.verdict import Verdict


def with_stream(contract: Contract, **changes: object) -> Contract:
    assert contract.websocket is not None
    stream: WebSocket = replace(contract.websocket, **changes)  # type: ignore[arg-type]  # one key at a time
    return replace(contract, websocket=stream)


def test_a_whole_run_is_held(gadget: Contract) -> None:
    judgement = delivered(Story().tell().section(), gadget)
    held(judgement)
    assert judgement.evidence["sessions"] == 6
    assert judgement.evidence["reconnects"] >= RECONNECTS


def test_fewer_sessions_and_reconnects_are_unknown(gadget: Contract) -> None:
    class OneLess(Story):
        sessions = 5

    class Stays(Story):
        moves = 1

        def afterwards(self, session: Session, who: int) -> None:
            super().afterwards(session, who)
            session.connect(who + 4, 1, "01FOREIGN")
            session.told(who + 4, 0, recovered=False)
            session.leaves(who + 4)

    unknown(delivered(OneLess().tell().section(), gadget), "nothing after the end", "same for all")
    unknown(delivered(Stays().tell().section(), gadget), "resume")


def test_reconnects_at_one_replica_only_are_unknown(gadget: Contract) -> None:
    section = Story().tell().section()
    lines = [line if line.pod != "i-b" else type(line)(line.t, line.type, line.op, line.process, line.session,
             line.value, "i-a", line.data) for line in section.lines]  # fmt: skip
    judgement = delivered(type(section)(lines, section.source), gadget)
    unknown(judgement, "resume")
    assert "1 of 2 replicas" in part(judgement, "resume").reason


def test_where_replicas_have_no_name_they_are_not_counted(gadget: Contract) -> None:
    section = Story().tell().section()
    lines = [type(line)(line.t, line.type, line.op, line.process, line.session, line.value, "", line.data)
             for line in section.lines]  # fmt: skip
    held(delivered(type(section)(lines, section.source), gadget))


def test_one_bug_in_one_place_is_violated_however_much_is_right(gadget: Contract) -> None:
    def tell(x: Session) -> None:
        x.joins(1, 0)
        x.gets(1, 1, 1)

    judgement = delivered(beside(tell).section(), gadget)
    violated(judgement, "once")
    assert judgement.verdict is Verdict.VIOLATED


def test_what_the_contract_lacks_does_not_count(gadget: Contract) -> None:
    section = Story().tell().section()
    tied_to_now = delivered(section, with_stream(gadget, resume=None))
    held(tied_to_now)
    assert part(tied_to_now, "resume").missing
    assert part(tied_to_now, "refused resume").missing
    uncounted = delivered(section, with_stream(gadget, source_counter=None))
    held(uncounted)
    assert part(uncounted, "source count").missing


def test_without_numbers_nothing_can_be_judged(gadget: Contract, guide: Contract, bare: Contract) -> None:
    for contract in (with_stream(gadget, seq=None), guide, bare):
        judgement = check(Story().tell().section(), contract)
        assert {part.verdict for part in judgement.parts} == {Verdict.NOT_CLAIMED}
        assert judgement.verdict is Verdict.UNKNOWN


def test_lines_without_their_connection_are_passed_over(gadget: Contract) -> None:
    script = Story().tell()
    script.add("message", "event", 9999, "x", 7, n=7)
    script.add("closed", "", 9999, "x", code=1000)
    held(delivered(script.section(), gadget))


def test_an_empty_history_is_unknown(gadget: Contract) -> None:
    assert check(Script("continuity").section(), gadget).verdict is Verdict.UNKNOWN


def test_a_long_record_is_judged_in_time_that_grows_with_its_length(gadget: Contract) -> None:
    class Long(Story):
        sessions = 1
        length = 10_000

    section = Long().tell().section()
    start_s = process_time()
    violations = delivered(section, gadget).findings
    assert process_time() - start_s < 20.0  # takes about one; comparing each with each took minutes
    assert not violations
