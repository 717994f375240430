"""A stored history may lack any line, and may be judged by a contract that offers less: no checker may stumble."""

from collections.abc import Callable

import pytest
from checkers import (
    delivery_story,
    endurance_story,
    takeover_story,
    test_affinity,
    test_availability,
    test_drain,
    test_heartbeat,
    test_history,
    test_identity,
    test_replicas,
    test_restart_persistence,
    test_scaling,
    test_session_record,
    test_shared_view,
    test_stickiness,
)
from checkers.script import Script

from limpet.contract import Contract
from limpet.history import Section
from limpet.runner import CHECKERS, judge
from limpet.verdict import Verdict


class SlowLooks(test_heartbeat.Story):
    look_every_s = 2.0


class FewEvents(test_history.Story):
    def came(self, session: str) -> list[int]:
        return [1, 2, test_history.EVENTS]


class FewMessages(delivery_story.Story):
    sessions = 1
    length = 12
    moves = 3


class FewWatchers(endurance_story.Endurance):
    sessions = watchers = 2
    ticks = 1
    orphans = 1
    silent_ticks = 4


class FewOrphans(takeover_story.Story):
    sessions = 6
    doomed = 1
    ticks = 1


class LittleWork(test_scaling.Story):
    rounds = 2
    sessions_per_replica = 1


class FewLosses(test_availability.Story):
    requests = 3
    faults = ("pod kill", "pod pause")


class FewStreams(test_drain.Story):
    sessions = 1
    requests = 5


STORIES: dict[str, Callable[[], Script]] = {
    "replicas": test_replicas.story,
    "identity": test_identity.story,
    "session-record": lambda: test_session_record.Life().tell(10),
    "stickiness": lambda: test_stickiness.story(clients=6),
    "restart-persistence": lambda: test_restart_persistence.Story().tell(sessions=6),
    "shared-view": lambda: test_shared_view.story(sessions=2),
    "affinity": lambda: test_affinity.Story().tell(),
    "scaling": lambda: LittleWork().tell(),
    "heartbeat": lambda: SlowLooks().tell(),
    "history": lambda: FewEvents().tell(4),
    "continuity": lambda: FewWatchers().endure(FewMessages().tell()),
    "takeover": lambda: FewOrphans().tell(),
    "drain": lambda: FewStreams().tell(),
    "availability": lambda: FewLosses().tell(),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_history_that_lacks_any_line_is_never_held(name: str, gadget: Contract) -> None:
    lines = STORIES[name]().section().lines
    for gone in range(len(lines)):
        section = Section([*lines[:gone], *lines[gone + 1 :]], "history-x.jsonl")
        assert section.damage
        if gone:
            assert judge(section, gadget).verdict is not Verdict.HELD


@pytest.mark.parametrize("name", CHECKERS)
def test_an_empty_history_is_unknown(name: str, gadget: Contract) -> None:
    assert judge(Script(name).section(), gadget).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", STORIES)
def test_a_contract_that_offers_less_is_judged_without_error(name: str, bare: Contract, guide: Contract) -> None:
    section = STORIES[name]().section()
    assert judge(section, bare).verdict in (Verdict.HELD, Verdict.UNKNOWN)
    assert judge(section, guide).verdict in (Verdict.HELD, Verdict.UNKNOWN)
