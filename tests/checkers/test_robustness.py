"""A stored history may lack any line, and may be judged by a contract that offers less: no checker may stumble."""

from collections.abc import Callable

import pytest
from checkers import test_identity, test_replicas, test_restart_persistence, test_session_record, test_stickiness
from checkers.script import Script

from limpet.contract import Contract
from limpet.history import Section
from limpet.runner import CHECKERS, judge
from limpet.verdict import Verdict

STORIES: dict[str, Callable[[], Script]] = {
    "replicas": test_replicas.story,
    "identity": test_identity.story,
    "session-record": lambda: test_session_record.Life().tell(10),
    "stickiness": lambda: test_stickiness.story(clients=6),
    "restart-persistence": lambda: test_restart_persistence.Story().tell(sessions=6),
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
def test_a_contract_that_offers_least_is_judged_without_error(name: str, bare: Contract) -> None:
    assert judge(STORIES[name]().section(), bare).verdict in (Verdict.HELD, Verdict.UNKNOWN)
