"""The search against every order tried by hand, and against objects that are right."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models.kinds import KINDS
from models.story import Answer, Objects, Story, drawn, explained, left_by
from msgspec.structs import replace

from limpet.checkers import linearizable, unique_registers
from limpet.checkers.linearizable_search import Search
from limpet.checkers.linearizable_steps import Steps
from limpet.models.base import Model
from limpet.models.catalogue import MODELS
from limpet.models.given import operations

REGISTER, TEXTS = MODELS["register"], MODELS["map"]


def verdict(objects: Objects, model: Model, budget_mib: float = 64) -> str:
    return linearizable.check(objects, model, budget_mib).verdict


def all_explained(objects: Objects, model: Model) -> bool:
    return all(explained(ones, model) for ones in objects.values())


@pytest.mark.parametrize("name", KINDS)
def test_it_agrees_with_all_orders_tried(name: str) -> None:
    model, met = MODELS[name], Counter[str]()

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn(KINDS[name].choices))
    def agrees(story: Story) -> None:
        objects = story.objects(model)
        said = verdict(objects, model)
        assert said == ("legal" if all_explained(objects, model) else "illegal")
        met[said] += 1

    agrees()
    assert min(met["legal"], met["illegal"]) > 20


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32))
def test_what_a_right_object_leaves_is_legal_and_no_more_after_a_wrong_end(name: str, seed: int) -> None:
    model, kind = MODELS[name], KINDS[name]
    story = left_by(kind.make, kind.calls, seed)
    assert verdict(story.objects(model), model) == "legal"
    kind.wrong(story)
    assert verdict(story.objects(model), model) == "illegal"


@st.composite
def unique_writes(draw: st.DrawFn) -> Story:
    """A register that is never given a value twice."""
    answers: list[Answer] = [("ok", None, {}), ("info", None, {})]
    story = draw(drawn([(("write", 0), answer) for answer in answers], 8))
    mixed, calls = Story(), 0
    reads: set[int | str] = set()
    for line in story.lines:
        if line.type == "invoke":
            calls += 1
            if draw(st.booleans()):
                reads.add(line.process)
            else:
                reads.discard(line.process)
            mixed.call(int(line.process), *(("read", None) if line.process in reads else ("write", calls)))
        elif line.process in reads:
            mixed.back(int(line.process), "read", draw(st.one_of(st.none(), st.integers(1, 8))))
        else:
            mixed.back(int(line.process), "write", None, line.type)
    return mixed


def test_it_agrees_with_the_algorithm_for_unique_values() -> None:
    met = Counter[str]()

    @settings(max_examples=800, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(unique_writes())
    def agrees(story: Story) -> None:
        said = verdict(story.objects(REGISTER), REGISTER)
        _, _, illegal = unique_registers.check(operations(story.numbered(), REGISTER, "story"))
        assert (said == "illegal") == bool(illegal)
        met[said] += 1

    agrees()
    assert min(met["legal"], met["illegal"]) > 50


def stale() -> Story:
    """A read that comes back with what was overwritten before it began."""
    story = Story()
    story.does(1, "write", 1)
    story.does(1, "write", 2)
    story.does(2, "read", None, 1)
    return story


def test_an_overlapping_read_may_see_either() -> None:
    story = Story()
    story.does(1, "write", 1)
    story.call(1, "write", 2)
    story.does(2, "read", None, 1)
    story.does(2, "read", None, 2)
    story.back(1, "write")
    assert verdict(story.objects(REGISTER), REGISTER) == "legal"


def test_a_stale_read_is_illegal_and_the_states_are_told() -> None:
    stuck = linearizable.check(stale().objects(REGISTER), REGISTER).stuck
    assert stuck is not None
    assert (stuck.key, stuck.operation.lines, stuck.ordered, stuck.states) == ("x", (5, 6), 2, (2,))


def test_a_violation_of_one_object_is_found_beside_one_that_takes_for_ever() -> None:
    objects = {**without_end("hard").objects(REGISTER), **stale().objects(REGISTER)}
    result = linearizable.check(objects, REGISTER, budget_mib=4)
    assert result.stuck is not None
    assert result.stuck.key == "x"


def test_a_search_without_end_is_unknown_when_its_budget_is_used_up() -> None:
    result = linearizable.check(without_end("hard").objects(REGISTER), REGISTER, budget_mib=1)
    assert (result.verdict, result.open, result.stuck) == ("unknown", ("hard",), None)


def without_end(key: str, writers: int = 40) -> Story:
    """Many writes at once, and two reads that nothing explains: all subsets of the writes must be tried."""
    story = Story(key)
    for process in range(writers):
        story.call(process, "write", process)
    for value in (1, 2, 1, 2):
        story.does(writers, "read", None, value)
    for process in range(writers):
        story.back(process, "write")
    return story


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32), data=st.data())
def test_what_foresight_gives_up_had_no_order(seed: int, data: st.DataObject) -> None:
    """Right histories of texts, and the same with the answers of two gets changed for each other."""
    kind = KINDS["map"]
    story = left_by(kind.make, kind.calls, seed, steps=80)
    gets = [at for at, line in enumerate(story.lines) if (line.op, line.type) == ("get", "ok")]
    if len(gets) > 1:
        one, other = data.draw(st.permutations(gets))[:2]
        story.lines[one], story.lines[other] = (
            replace(story.lines[one], value=story.lines[other].value),
            replace(story.lines[other], value=story.lines[one].value),
        )
    for operations_ in story.objects(TEXTS).values():
        plain = Search(operations_, Steps(TEXTS), foresight=False).run(20_000)
        assert plain in (None, Search(operations_, Steps(TEXTS)).run(20_000))


def test_what_is_shown_is_the_first_that_is_unexplained_though_foresight_saw_further() -> None:
    story = Story()
    story.does(1, "append", "a")
    unexplained = story.does(1, "get", None, "b")
    story.does(1, "append", "b")
    story.does(1, "get", None, "ba")
    stuck = linearizable.check(story.objects(TEXTS), TEXTS).stuck
    assert stuck is not None
    assert (stuck.operation.done_no, stuck.states) == (unexplained, ("a",))


def test_no_object_at_all_is_legal() -> None:
    assert linearizable.check({}, REGISTER).verdict == "legal"
