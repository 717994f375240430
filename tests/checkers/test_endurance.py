"""What watchers went through: which faults bit, what came after them, and what the history has of it."""

from dataclasses import replace

import pytest
from checkers.endurance_story import Counted, Endurance
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.continuity import check
from limpet.checkers.endurance import AT_ONCE, FAULTS, PAUSED, go_on_s
from limpet.checkers.history import LIMIT
from limpet.contract import Contract
from limpet.verdict import Judgement

EQUAL = "equal to the history"


def judged(contract: Contract, story: Endurance) -> Judgement:
    return check(story.tell().section(), contract)


def test_watchers_that_go_on_through_everything_are_held(gadget: Contract) -> None:
    judgement = judged(gadget, Endurance())
    held(judgement)
    assert judgement.evidence["interruptions"] == 12
    assert float(judgement.evidence["longest wait"][PAUSED].split()[0]) >= 4


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "pod kill"])
def test_a_fault_that_was_not_made_is_unknown(gadget: Contract, fault: str) -> None:
    class OneLess(Endurance):
        faults = tuple(name for name in FAULTS if name != fault)

    judgement = judged(gadget, OneLess())
    unknown(judgement, *([fault, AT_ONCE, "interruptions"] if fault == PAUSED else [fault]))
    assert "it was not carried out" in part(judgement, fault).reason


def test_a_fault_that_did_not_bite_is_unknown(gadget: Contract) -> None:
    class Harmless(Endurance):
        def note(self, fault: str, phase: str, **data: object) -> None:
            if fault == "roll-out" and phase == "effect":
                super().note(fault, "no effect", why="the old pods are still there")
            else:
                super().note(fault, phase, **data)

    judgement = judged(gadget, Harmless())
    unknown(judgement, "roll-out")
    assert "the old pods are still there" in part(judgement, "roll-out").reason


def test_replicas_that_do_not_recover_are_violated(gadget: Contract) -> None:
    class Lost(Endurance):
        def note(self, fault: str, phase: str, **data: object) -> None:
            if fault == "pod delete" and phase == "recovered":
                super().note(fault, "not recovered", why="1 of 2 ready")
            else:
                super().note(fault, phase, **data)

    judgement = judged(gadget, Lost())
    violated(judgement, "pod delete")
    assert "1 of 2 ready" in part(judgement, "pod delete").reason


def test_faults_one_after_the_other_are_not_two_at_once(gadget: Contract) -> None:
    class Apart(Endurance):
        def beside(self) -> None:
            """Nobody else is killed."""

    unknown(judged(gadget, Apart()), AT_ONCE)


def test_fewer_watchers_are_unknown(gadget: Contract) -> None:
    class Few(Endurance):
        watchers = 49

    unknown(judged(gadget, Few()), *FAULTS, AT_ONCE)


class Deaf(Endurance):
    """After a pod was deleted one watcher gets nothing any more, though its session goes on."""

    waited_s = 0.0

    def after(self, fault: str) -> None:
        super().after(fault)
        if fault == "pod delete":
            self.deaf = self.cast[3]
            self.gone = self.deaf.watchers.pop()
        if fault == "pod kill":
            self.script.wait(self.waited_s)


def test_a_watcher_that_is_left_behind_is_violated(gadget: Contract) -> None:
    class Long(Deaf):
        waited_s = go_on_s(gadget)

    judgement = judged(gadget, Long())
    assert part(judgement, "pod kill").findings
    assert "got no event" in part(judgement, "pod kill").reason
    assert not part(judgement, "pod delete").findings


def test_a_watcher_that_had_no_time_to_go_on_is_not_blamed(gadget: Contract) -> None:
    judgement = judged(gadget, Deaf())
    assert not part(judgement, "pod kill").findings
    assert part(judgement, "pod kill").had == 49


def test_a_session_that_was_deleted_has_no_more_events(gadget: Contract) -> None:
    class Deleted(Endurance):
        def after(self, fault: str) -> None:
            super().after(fault)
            if fault == "pod delete":
                one = self.cast.pop()
                one.end()
                self.script.op("replay", 1, one.session.name, one.kept)
            self.script.wait(go_on_s(gadget))

    judgement = judged(gadget, Deleted())
    assert not [finding for name in FAULTS for finding in part(judgement, name).findings]


def test_a_session_that_ends_by_itself_is_violated(gadget: Contract) -> None:
    class Ended(Endurance):
        def after(self, fault: str) -> None:
            super().after(fault)
            if fault == "Redis restart":
                one = self.cast.pop()
                one.seq += 1
                for who in one.watchers:
                    one.session.ends(who, one.seq)
                self.script.op("replay", 1, one.session.name, one.kept)

    judgement = judged(gadget, Ended())
    violated(judgement, "Redis restart")
    assert "e19 ended, and nobody had asked for it" in part(judgement, "Redis restart").reason


def test_a_history_that_is_longer_than_an_answer_is_compared_as_far_as_it_goes(gadget: Contract) -> None:
    class Long(Endurance):
        def after(self, fault: str) -> None:
            super().after(fault)
            if fault == "roll-out":
                for _ in range(LIMIT):
                    self.cast[0].tick()

        def replay(self) -> None:
            events = [item for item in self.cast[0].kept if item["type"] == "event"]
            self.cast[0].kept = events[:LIMIT]
            super().replay()

    held(judged(gadget, Long()))


def test_what_the_target_cannot_do_does_not_count(gadget: Contract) -> None:
    class NoPause(Endurance):
        faults = tuple(name for name in FAULTS if name != PAUSED)
        orphans = 10

        def endure(self, script: Script) -> Script:
            super().endure(script)
            self.note(PAUSED, "unsupported", why="no signals")
            return script

    judgement = judged(gadget, NoPause())
    held(judgement)
    assert part(judgement, PAUSED).missing == part(judgement, AT_ONCE).missing == "no signals"


def test_what_the_contract_lacks_does_not_count(gadget: Contract) -> None:
    section = Endurance().tell().section()
    no_lease = check(section, replace(gadget, redis=replace(gadget.redis, heartbeat=None)))
    held(no_lease)
    assert "redis.heartbeat" in part(no_lease, PAUSED).missing
    no_history = check(section, replace(gadget, http=replace(gadget.http, events=None)))
    held(no_history)
    assert "http.events" in part(no_history, EQUAL).missing
    assert gadget.websocket
    uncounted = check(section, replace(gadget, websocket=replace(gadget.websocket, source_counter=None)))
    held(uncounted)
    assert "source_counter" in part(uncounted, "interruptions").missing


class Recorded(Endurance):
    """The history of one session is changed by `spoil`."""

    def replay(self) -> None:
        self.spoil(self.cast[4])
        super().replay()

    def spoil(self, one: Counted) -> None:
        raise NotImplementedError


def test_an_event_that_the_history_lacks_is_violated(gadget: Contract) -> None:
    class Lacks(Recorded):
        def spoil(self, one: Counted) -> None:
            del one.kept[7]

    judgement = judged(gadget, Lacks())
    violated(judgement, EQUAL)
    assert "are not in its history: 8" in part(judgement, EQUAL).reason


def test_an_event_that_nobody_got_is_violated(gadget: Contract) -> None:
    class Lost(Endurance):
        def after(self, fault: str) -> None:
            super().after(fault)
            if fault == "pod delete":
                one = self.cast[4]
                one.seq += 1
                one.n += 1
                one.kept.append({"type": "event", "seq": one.seq, "data": {"n": one.n}})

    judgement = judged(gadget, Lost())
    assert "has 1 events that no watcher got" in part(judgement, EQUAL).reason


def test_another_event_in_the_history_is_violated(gadget: Contract) -> None:
    class Other(Recorded):
        def spoil(self, one: Counted) -> None:
            one.kept[7] = {"type": "event", "seq": 8, "data": {"n": 800}}

    judgement = judged(gadget, Other())
    violated(judgement, EQUAL)
    assert "are others" in part(judgement, EQUAL).reason


@pytest.mark.parametrize("again", [7, 6])
def test_a_history_in_another_order_or_twice_is_violated(gadget: Contract, again: int) -> None:
    class Twice(Recorded):
        def spoil(self, one: Counted) -> None:
            one.kept.insert(8, one.kept[again])

    judgement = judged(gadget, Twice())
    violated(judgement, EQUAL)
    assert "each once" in part(judgement, EQUAL).reason


def test_a_history_that_is_not_to_be_had_is_violated(gadget: Contract) -> None:
    class Away(Endurance):
        def replay(self) -> None:
            super().replay()
            self.script.op("replay", 1, "e4", type_="fail", status=503)

    judgement = judged(gadget, Away())
    violated(judgement, EQUAL)
    assert "503" in part(judgement, EQUAL).reason


def test_only_the_last_answer_counts(gadget: Contract) -> None:
    class Lagging(Endurance):
        def replay(self) -> None:
            for one in self.cast:
                self.script.op("replay", 1, one.session.name, one.kept[:3])
            super().replay()

    held(judged(gadget, Lagging()))
