"""What each model allows and what it does not, one operation after the other."""

from typing import Any

import pytest
from models.kinds import KINDS
from models.story import Story, explained

from limpet.models.base import NEVER
from limpet.models.catalogue import MODELS
from limpet.models.values import freeze

Step = tuple[Any, ...]  # process, op, value, answer, type, data


def possible(name: str, *steps: Step) -> bool:
    """Whether the object can have answered like that; every step is over before the next."""
    model = MODELS[name]
    return all(explained(ones, model) for ones in tell_story(*steps).objects(model).values())


def tell_story(*steps: Step) -> Story:
    story = Story()
    defaults: list[Any] = [None, None, "ok", {}]
    for process, op, *rest in steps:
        value, answer, type_, data = rest + defaults[len(rest) :]
        story.does(process, op, value, answer, type_, **data)
    return story


def fails(process: int, op: str, value: Any = None, **data: Any) -> Step:
    return process, op, value, None, "fail", data


def lost(process: int, op: str, value: Any = None) -> Step:
    return process, op, value, None, "info"


def test_every_model_can_be_asked_for_by_name() -> None:
    assert set(MODELS) == set(KINDS) == {"register", "cas", "map", "mutex", "fenced-mutex", "session"}
    assert all(model.name == name for name, model in MODELS.items())


@pytest.mark.parametrize("name", ["register", "cas"])
def test_a_register_is_nil_at_first_and_then_what_was_written_last(name: str) -> None:
    assert possible(name, (1, "read"), (1, "write", 3), (2, "read", None, 3), (1, "write", 4), (2, "read", None, 4))
    assert not possible(name, (2, "read", None, 3))
    assert not possible(name, (1, "write", 3), (2, "read"))
    assert not possible(name, (1, "write", 3), (1, "write", 4), (2, "read", None, 3))


def test_a_failed_write_did_not_happen_and_a_failed_read_says_nothing() -> None:
    assert possible("register", (1, "write", 3), fails(1, "write", 4), (2, "read", None, 3))
    assert not possible("register", (1, "write", 3), fails(1, "write", 4), (2, "read", None, 4))
    assert possible("register", (1, "write", 3), fails(2, "read", 9))


def test_a_lost_write_may_have_happened_or_not_but_not_be_undone() -> None:
    before, after = (2, "read", None, 3), (2, "read", None, 4)
    assert possible("register", (1, "write", 3), lost(1, "write", 4), before, after)
    assert possible("register", (1, "write", 3), lost(1, "write", 4), before, before)
    assert not possible("register", (1, "write", 3), lost(1, "write", 4), after, before)


def test_true_is_not_one() -> None:
    assert possible("register", (1, "write", True), (1, "read", None, True))
    assert not possible("register", (1, "write", True), (1, "read", None, 1))
    assert not possible("register", (1, "write", [1]), (1, "read", None, 1))


def test_values_may_be_any_json() -> None:
    value = {"a": [1, {"b": None}], "c": 1.5}
    assert possible("register", (1, "write", value), (1, "read", None, dict(reversed(value.items()))))
    assert not possible("register", (1, "write", value), (1, "read", None, {"a": [1, {}], "c": 1.5}))


def test_what_json_has_not_is_no_value() -> None:
    with pytest.raises(TypeError, match="is no value of JSON"):
        freeze({1})


def test_a_compare_and_set_finds_what_it_compares_with() -> None:
    assert possible("cas", (1, "write", 1), (1, "cas", [1, 2]), (2, "read", None, 2))
    assert not possible("cas", (1, "write", 1), (1, "cas", [2, 3]))
    assert not possible("cas", (1, "write", 1), (1, "cas", [1, 2]), (2, "read", None, 1))


def test_a_refused_compare_and_set_has_seen_another_value() -> None:
    assert possible("cas", (1, "write", 1), fails(1, "cas", [2, 3]))
    assert not possible("cas", (1, "write", 1), fails(1, "cas", [1, 3]))


def test_a_compare_and_set_that_failed_by_an_error_says_nothing() -> None:
    assert possible("cas", (1, "write", 1), fails(1, "cas", [1, 3], error="connection refused"))


def test_a_text_that_nobody_put_is_empty() -> None:
    assert possible("map", (1, "get", None, ""), (1, "append", "a"), (1, "append", "b"), (1, "get", None, "ab"))
    assert not possible("map", (1, "append", "a"), (1, "append", "b"), (1, "get", None, "ba"))
    assert possible("map", (1, "append", "a"), (1, "put", "b"), (1, "get", None, "b"))
    assert not possible("map", (1, "append", "a"), (1, "put", "b"), (1, "get", None, "ab"))


def test_a_put_that_failed_did_not_happen_and_nil_is_the_empty_text() -> None:
    assert possible("map", (1, "get"), (1, "append", "a"), fails(1, "put", "b"), (1, "get", None, "a"))
    assert not possible("map", (1, "append", "a"), fails(1, "put", "b"), (1, "get", None, "b"))
    assert not possible("map", (1, "append", "a"), (1, "put"), (1, "get", None, "a"))


def test_a_lock_has_one_holder() -> None:
    assert possible("mutex", (1, "acquire"), (1, "release"), (2, "acquire"))
    assert not possible("mutex", (1, "acquire"), (2, "acquire"))


def test_a_lock_is_released_by_its_holder_and_only_once() -> None:
    assert not possible("mutex", (1, "acquire"), (2, "release"))
    assert not possible("mutex", (1, "acquire"), (1, "release"), (1, "release"))


def test_a_token_tells_the_holder_better_than_the_process() -> None:
    assert possible("mutex", (1, "acquire", "a"), (2, "release", "a"))
    assert possible("mutex", (1, "acquire", None, "a"), (2, "release", "a"))
    assert not possible("mutex", (1, "acquire", "a"), (1, "release", "b"))


def test_a_lost_release_may_have_freed_the_lock() -> None:
    assert possible("mutex", (1, "acquire"), lost(1, "release"), (2, "acquire"))
    assert not possible("mutex", (1, "acquire"), lost(3, "release"), (2, "acquire"))


def test_one_without_a_token_is_known_by_its_process() -> None:
    for acquire, release in ((("a",), ()), ((), ("a",))):
        assert possible("mutex", (1, "acquire", *acquire), (1, "release", *release))
        assert not possible("mutex", (1, "acquire", *acquire), (2, "release", *release))


@pytest.mark.parametrize(("fence", "fine"), [(6, True), (5, False), (4, False)])
def test_a_fence_grows(fence: int, fine: bool) -> None:  # noqa: FBT001  parametrized
    steps = [(1, "acquire", None, 5), (1, "release", 5), (2, "acquire", None, fence)]
    assert possible("fenced-mutex", *steps) is fine
    assert not possible("fenced-mutex", steps[0], steps[2])


@pytest.mark.parametrize(("fence", "fine"), [(7, True), (6, False)])
def test_a_lost_acquire_took_a_fence_too(fence: int, fine: bool) -> None:  # noqa: FBT001  parametrized
    first = [(1, "acquire", None, 5), (1, "release"), lost(2, "acquire")]
    assert possible("fenced-mutex", *first, (2, "release"), (3, "acquire", None, fence)) is fine


def test_a_lost_acquire_may_have_been_the_first() -> None:
    assert possible("fenced-mutex", lost(1, "acquire"), (1, "release"), (2, "acquire", None, 3))


@pytest.mark.parametrize(("fence", "fine"), [(4, False), (5, True), (6, False)])
def test_a_release_names_the_fence_that_was_handed_out(fence: int, fine: bool) -> None:  # noqa: FBT001  parametrized
    assert possible("fenced-mutex", (1, "acquire", None, 5), (1, "release", fence)) is fine


@pytest.mark.parametrize(("fence", "fine"), [(5, False), (6, True), (8, True)])
def test_a_release_may_tell_the_fence_of_a_lost_acquire(fence: int, fine: bool) -> None:  # noqa: FBT001  parametrized
    lost_one = [(1, "acquire", None, 5), (1, "release"), lost(2, "acquire"), (2, "release", fence)]
    assert possible("fenced-mutex", *lost_one) is fine
    assert possible("fenced-mutex", *lost_one, (3, "acquire", None, fence + 1)) is fine
    assert not possible("fenced-mutex", *lost_one, (3, "acquire", None, fence))


def made(revision: int = 1, content: str = "a") -> Step:
    return 1, "create", None, {"content": content, "revision": revision}


def seen(revision: int, content: str = "a") -> Step:
    return 2, "read", None, {"content": content, "revision": revision}


def test_a_session_is_there_between_its_create_and_its_delete() -> None:
    absent, there, delete = (2, "read"), seen(1), (1, "delete")
    assert possible("session", absent, made(), there, delete, absent, fails(2, "read", status=410))
    assert not possible("session", made(), absent)
    assert not possible("session", made(), fails(2, "read", status=404))
    assert not possible("session", made(), delete, there)
    assert not possible("session", there)
    assert not possible("session", made(), delete, delete)
    assert not possible("session", made(), delete, made())


def test_a_revision_grows_with_every_change() -> None:
    def update(revision: int) -> Step:
        return 1, "update", {"content": "b"}, {"revision": revision}

    assert possible("session", made(), update(4), seen(4, "b"), update(5))
    assert not possible("session", made(4), update(4))
    assert not possible("session", made(), update(4), update(3))
    assert not possible("session", made(), update(4), seen(5, "b"))


def test_an_update_that_asks_for_a_revision_finds_it_or_is_refused() -> None:
    def update(revision: int, type_: str = "ok", **data: Any) -> Step:
        return 1, "update", {"content": "b", "if_match": revision}, None, type_, data

    assert possible("session", made(3), update(3), seen(4, "b"))
    assert not possible("session", made(3), update(2))
    assert possible("session", made(3), update(2, "fail", status=412))
    assert not possible("session", made(3), update(3, "fail", status=412))


def test_what_nobody_told_is_settled_by_who_tells_it_first() -> None:
    made_blind, change = (1, "create"), (1, "update", {"content": "b"})
    stale = fails(1, "update", {"content": "c", "if_match": 5}, status=412)
    assert possible("session", made_blind, seen(7), seen(7))
    assert not possible("session", made_blind, seen(7), seen(8))
    assert not possible("session", made(3), change, seen(3, "b"))
    assert possible("session", made(3), change, stale, seen(4, "b"))
    assert not possible("session", made(3), change, stale, seen(5, "b"))


def test_a_refusal_for_another_reason_says_nothing_of_the_revision() -> None:
    assert possible("session", made(3), fails(1, "update", {"if_match": 3}, status=500), seen(3))
    assert possible("session", made(3), fails(1, "update", {"content": "b"}, status=412), seen(3))


@pytest.mark.parametrize(("refused", "least"), [((4,), 5), ((5, 4), 6), ((9,), 4), ((3,), 4)])
def test_an_unknown_revision_is_none_of_those_that_were_refused(refused: tuple[int, ...], least: int) -> None:
    stale = [fails(1, "update", {"if_match": revision}, status=412) for revision in refused]
    before = [made(3), (1, "update", {"content": "b"}), *stale]
    fine = [revision for revision in range(2, 12) if possible("session", *before, seen(revision, "b"))]
    assert fine == [revision for revision in range(least, 12) if revision not in refused]


def test_a_content_that_was_told_stays() -> None:
    blind_of_revision = [made(3), (1, "update", {"content": "b"}), (2, "read", None, {"revision": 4})]
    for before in (blind_of_revision, [(1, "create"), (2, "read", None, {"content": "b"})]):
        assert possible("session", *before, (2, "read", None, {"content": "b"}))
        assert not possible("session", *before, (2, "read", None, {"content": "c"}))


def test_what_came_with_an_unknown_outcome_tells_nothing() -> None:
    reset = "connection reset"
    assert possible("session", (1, "create", None, reset, "info"), seen(7))
    assert possible("session", made(), (1, "update", {"content": "b"}, reset, "info"), seen(2, "b"))


def test_a_create_that_was_answered_counts_beside_one_that_was_lost() -> None:
    assert possible("session", lost(1, "create"), made(3), seen(3))
    assert not possible("session", lost(1, "create"), made(3), seen(2))


def test_a_list_tells_of_presence() -> None:
    listed, missing = (2, "list", None, ["x"]), (2, "list", None, ["other"])
    assert possible("session", missing, made(), listed, (1, "delete"), missing)
    assert not possible("session", made(), missing)
    assert not possible("session", made(), (1, "delete"), listed)


def test_sessions_that_only_lists_have_are_of_others() -> None:
    assert possible("session", (2, "list", None, ["other"]), (2, "list", None, []), (2, "list", None, ["other"]))


def test_a_create_that_is_tried_again_with_its_key_is_one() -> None:
    story, model = Story(), MODELS["session"]
    story.key = ""
    story.does(1, "create", "key-1", None, "info")
    story.key = "x"
    story.does(2, "read", None, {"content": "a"})
    story.does(3, "create", "key-1", {"content": "a"})
    story.does(3, "create", "key-1", {"content": "a"})
    assert explained(story.objects(model)["x"], model)
    other = Story()
    other.does(2, "read", None, {"content": "a"})
    other.does(3, "create", "key-1", {"content": "a"})
    assert not explained(other.objects(model)["x"], model)


def test_a_session_of_unknown_origin_comes_from_a_create_that_was_lost() -> None:
    story, model = Story(), MODELS["session"]
    story.key = ""
    story.does(1, "create", None, None, "info")
    story.key = "x"
    story.does(2, "read", None, {"content": "a"})
    assert explained(story.objects(model)["x"], model)


def test_the_earliest_of_the_lost_creates_explains_the_most() -> None:
    story, model = Story(""), MODELS["session"]
    story.call(1, "create")
    story.key = "x"
    story.does(2, "read", None, {"content": "a"})
    story.key = ""
    story.does(3, "create", None, None, "info")
    story.back(1, "create", None, "info")
    objects = story.objects(model)
    assert explained(objects["x"], model)
    assert [(one.key, one.start, one.end) for one in objects["x"]] == [("x", 2, 3), ("x", 1, NEVER)]


def test_a_session_whose_create_is_known_comes_from_no_other() -> None:
    story, model = Story(""), MODELS["session"]
    story.does(1, "create", None, None, "info")
    story.key = "x"
    story.does(2, "read", None, {"content": "a"})
    story.does(3, "create", None, None, "info")
    assert not explained(story.objects(model)["x"], model)


def test_a_try_that_was_refused_is_no_first_try() -> None:
    story, model = Story(), MODELS["session"]
    story.does(1, "create", "key-1", None, "fail")
    story.does(2, "read", None, {"content": "a"})
    story.does(1, "create", "key-1", {"content": "a"})
    assert not explained(story.objects(model)["x"], model)


LOOKS = [
    ("register", (1, "read")),
    ("cas", fails(1, "cas", [1, 2])),
    ("cas", (1, "cas", [1, 1])),
    ("map", (1, "get", None, "")),
    ("session", seen(1)),
    ("session", (2, "read")),
    ("session", fails(2, "delete", status=404)),
    ("session", fails(2, "update", {"if_match": 3}, status=412)),
    ("session", (2, "list", None, ["x"])),
    ("session", (2, "list", None, [])),
]
CHANGES = [
    *(("register", (1, "write", 1)), ("cas", (1, "cas", [1, 2])), ("cas", lost(1, "cas", [1, 2]))),
    *(("map", (1, "append", "a")), ("map", (1, "put", "a")), ("session", (1, "delete"))),
    *(("session", (1, "update", {"content": "b"})), ("mutex", (1, "acquire")), ("mutex", (1, "release"))),
]


@pytest.mark.parametrize(
    ("name", "step", "changes"), [(*one, False) for one in LOOKS] + [(*one, True) for one in CHANGES]
)
def test_what_only_looks_is_said_to_change_nothing(name: str, step: Step, changes: bool) -> None:  # noqa: FBT001
    model = MODELS[name]
    made_before = [made()] if name == "session" else []
    ones = tell_story(*made_before, step).objects(model)["x"]
    assert {one.key for one in ones} == {"x"}
    assert max(ones, key=lambda one: one.start).action.changes is changes


def told(name: str, *steps: Step) -> list[str]:
    """The words for each operation and the state after it."""
    model, words = MODELS[name], []
    story = tell_story(*steps)
    (ones,) = story.objects(model).values()
    state = model.initial
    for operation in sorted(ones, key=lambda op: op.start):
        state = model.step(state, operation.action)
        words += [model.tell(operation.action), model.tell_state(state)]
    return words


def test_registers_have_words() -> None:
    steps = [(1, "write", "a"), (1, "cas", ["a", True]), fails(1, "cas", ["a", 2]), (1, "read", None, True)]
    assert told("cas", *steps) == [
        *('write "a"', '"a"', 'cas "a" to true', "true", 'cas "a" to 2, refused', "true", "read true", "true"),
    ]
    assert told("register", (1, "read")) == ["read nil", "nil"]


def test_values_are_shown_as_json_has_them() -> None:
    value = {"a": [2, False], "b": {"c": "é"}}
    assert told("register", (1, "write", value))[0] == 'write {"a": [2, false], "b": {"c": "é"}}'
    assert told("map", (1, "append", "a"), (2, "get", None, "a"))[2:] == ['get "a"', '"a"']


def test_the_middle_of_long_texts_is_left_out() -> None:
    ((action, state),) = [told("map", (1, "append", "a" * 70 + "z"))]
    assert action == f'append "{"a" * 29} ... {"a" * 28}z"'
    assert state in action
    assert told("map", (1, "append", "a" * 58)) == [f'append "{"a" * 58}"', f'"{"a" * 58}"']


def test_locks_have_words() -> None:
    assert told("mutex", (1, "acquire", "t"), (1, "release")) == [
        *('acquire of "t" by 1', 'held by 1 with "t"', "release by 1", "free"),
    ]
    assert told("fenced-mutex", (1, "acquire", None, 5), (1, "release"), lost(2, "acquire")) == [
        *("acquire by 1 with fence 5", "held by 1 with fence 5", "release by 1", "free after fence 5"),
        *("acquire by 2", "held by 2 with a fence of 6 or more"),
    ]
    assert told("mutex", (1, "acquire")) == ["acquire by 1", "held by 1"]
    assert told("fenced-mutex", lost(1, "acquire"), (1, "release", 5))[2:] == [
        *("release by 1 with fence 5", "free after fence 5"),
    ]
    assert {MODELS[name].tell_state(None) for name in ("mutex", "fenced-mutex")} == {"free"}


def test_sessions_have_words() -> None:
    update = (1, "update", {"content": "b", "if_match": 1}, {"revision": 2})
    stale = fails(1, "update", {"if_match": 1}, status=412)
    steps = [(2, "read"), made(), update, stale, (1, "update", {"content": 3}), (1, "delete")]
    assert told("session", *steps) == [
        *("not found", "not created"),
        *('create "a", revision 1', '"a" at revision 1'),
        *('update to "b" if at revision 1, revision 2', '"b" at revision 2'),
        *("refused: not at revision 1", '"b" at revision 2'),
        *("update to 3", "3 at a revision of 3 or more"),
        *("delete", "deleted"),
    ]


def test_what_nobody_told_of_a_session_has_no_words() -> None:
    blind = (1, "update", {"if_match": 7}, {"revision": 8})
    assert told("session", (1, "create"), (2, "list", None, ["x"]), blind, (2, "read", None, {"revision": 8})) == [
        *("create", "there", "listed", "there"),
        *("update if at revision 7, revision 8", "there at revision 8"),
        *("read, revision 8", "there at revision 8"),
    ]
    assert told("session", (1, "create", None, {"content": "a"}), seen(3)) == [
        *('create "a"', '"a"', 'read "a", revision 3', '"a" at revision 3'),
    ]
