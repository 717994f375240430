"""What proves a violation is little, is a violation by itself, and has the operation that cannot be explained."""

import random

import pytest
from models.kinds import KINDS
from models.story import Story, left_by

from limpet.checkers import linearizable, linearizable_evidence
from limpet.checkers.linearizable_evidence import Proof
from limpet.models.base import Model
from limpet.models.catalogue import MODELS

CAS, MAP = MODELS["cas"], MODELS["map"]


def proof(story: Story, model: Model) -> Proof:
    stuck = linearizable.check(story.objects(model), model).stuck
    assert stuck is not None
    return linearizable_evidence.prove(stuck, model)


def lines(found: Proof) -> list[tuple[int, ...]]:
    return [operation.lines for operation in found.operations]


def test_what_makes_no_difference_is_left_out() -> None:
    story = Story()
    for value in range(20, 30):
        story.does(1, "write", value)
        story.does(2, "read", None, value)
    story.does(1, "write", 1)
    first, overwritten = (len(story.lines) - 1, len(story.lines)), story.does(3, "write", 2)
    unexplained = story.does(2, "read", None, 1)
    found = proof(story, CAS)
    assert lines(found) == [first, (overwritten - 1, overwritten), (unexplained - 1, unexplained)]
    assert found.others == 20


def test_a_value_that_nobody_wrote_proves_itself() -> None:
    story = Story()
    for value in range(10):
        story.does(1, "write", value)
    story.does(2, "read", None, 77)
    assert lines(proof(story, CAS)) == [(21, 22)]


def test_a_write_that_came_too_late_stays_in_the_proof() -> None:
    story = Story()
    story.does(1, "write", 1)
    story.call(1, "write", 2)
    story.back(1, "write")
    story.does(2, "read", None, 1)
    story.does(1, "write", 1)
    assert lines(proof(story, CAS)) == [(1, 2), (3, 4), (5, 6)]


def test_of_appends_only_those_that_a_get_lacks_are_left() -> None:
    story = Story()
    for text in ("a", "b", "c"):
        story.does(1, "append", text)
    lacking = story.does(2, "append", "d")
    story.does(1, "get", None, "")
    assert (lacking - 1, lacking) in lines(proof(story, MAP))
    assert len(lines(proof(story, MAP))) == 2


def test_a_write_that_was_not_back_by_then_may_not_have_happened() -> None:
    story = Story()
    story.does(1, "write", 1)
    story.call(1, "write", 2)
    story.does(2, "read", None, 2)
    story.does(2, "read", None, 1)
    story.back(1, "write")
    found = proof(story, CAS)
    assert (lines(found), found.loosened, found.others) == ([(1, 2), (4, 5), (6, 7)], frozenset(), 1)


@pytest.mark.parametrize("back", [True, False])
def test_what_might_as_well_have_happened_once_at_any_time_is_left_out(*, back: bool) -> None:
    story = Story()
    story.call(1, "append", "a")
    if back:
        story.back(1, "append")
    get_no = story.does(2, "get", None, "aa")
    if not back:
        story.back(1, "append")
    found = proof(story, MAP)
    assert (lines(found), found.loosened, found.others) == ([(get_no - 1, get_no)], frozenset(), 1)


@pytest.mark.parametrize(("tries", "others"), [(0, 0), (1, 5), (2, 10)])
def test_what_was_not_tried_stays(monkeypatch: pytest.MonkeyPatch, tries: int, others: int) -> None:
    monkeypatch.setattr(linearizable_evidence, "TRIES", tries)
    story = Story()
    for value in range(10):
        story.does(1, "write", value)
    story.does(2, "read", None, 77)
    found = proof(story, CAS)
    assert (len(found.operations), found.others) == (11 - others, others)


@pytest.mark.parametrize("name", KINDS)
def test_every_proof_is_a_violation_by_itself(name: str) -> None:
    model, kind, rnd = MODELS[name], KINDS[name], random.Random(5)
    for _ in range(30):
        story = left_by(kind.make, kind.calls, rnd.randrange(1 << 32))
        kind.wrong(story)
        found = proof(story, model)
        required = [op for op in found.operations if op not in found.loosened]
        assert required
        assert len(found.operations) <= (16 if name == "map" else 8), lines(found)  # texts may grow without end
        assert linearizable.check({"": list(found.operations)}, model).verdict == "illegal"
