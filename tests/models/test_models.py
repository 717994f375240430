"""What each model allows and what it does not, one operation after the other."""

from typing import Any

import pytest
from models.kinds import KINDS
from models.story import Story, explained

from limpet.models.catalogue import MODELS

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


@pytest.mark.parametrize(("fence", "fine"), [(6, True), (5, False), (4, False)])
def test_a_fence_grows(fence: int, fine: bool) -> None:  # noqa: FBT001  parametrized
    steps = [(1, "acquire", None, 5), (1, "release", 5), (2, "acquire", None, fence)]
    assert possible("fenced-mutex", *steps) is fine
    assert not possible("fenced-mutex", steps[0], steps[2])


@pytest.mark.parametrize(("fence", "fine"), [(7, True), (6, False)])
def test_a_lost_acquire_took_a_fence_too(fence: int, fine: bool) -> None:  # noqa: FBT001  parametrized
    first = [(1, "acquire", None, 5), (1, "release"), lost(2, "acquire")]
    assert possible("fenced-mutex", *first, (2, "release"), (3, "acquire", None, fence)) is fine


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


def test_the_middle_of_long_texts_is_left_out() -> None:
    ((action, state),) = [told("map", (1, "append", "a" * 70 + "z"))]
    assert action == f'append "{"a" * 29} ... {"a" * 28}z"'
    assert state in action


def test_locks_have_words() -> None:
    assert told("mutex", (1, "acquire", "t"), (1, "release")) == [
        *('acquire of "t" by 1', 'held by 1 with "t"', "release by 1", "free"),
    ]
    assert told("fenced-mutex", (1, "acquire", None, 5), (1, "release"), lost(2, "acquire")) == [
        *("acquire by 1 with fence 5", "held by 1 with fence 5", "release by 1", "free after fence 5"),
        *("acquire by 2", "held by 2 with a fence of 6 or more"),
    ]


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
