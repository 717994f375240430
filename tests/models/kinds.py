"""For every model: what can be called, what may be answered, an object that is right, and what none would do."""

from collections.abc import Callable, Sequence
from typing import Any

from models.story import Answer, Call, Story

Object = Callable[[int, Call], Answer]


def ok(value: Any = None) -> Answer:
    return "ok", value, {}


def refused(**data: Any) -> Answer:
    return "fail", None, data


ONE, OTHER = 1001, 1002  # processes that only the wrong ends have
LOST: Answer = ("info", None, {})


class Kind:
    """One model's.

    Attributes:
        choices: calls, each with an answer that it may get, right or wrong.
        make: an object that is right.
        wrong: ends a history in a way that no object can have, whatever came before.
    """

    def __init__(
        self,
        choices: dict[str, Sequence[tuple[Any, Answer]]],
        make: Callable[[], Object],
        wrong: Callable[[Story], None],
    ) -> None:
        self.choices = [((op, value), answer) for op, pairs in choices.items() for value, answer in pairs]
        self.calls = [call for call, _ in self.choices if call[0] != "list"]
        self.make = make
        self.wrong = wrong


def cell(initial: Any) -> Object:
    """A register, with compare-and-set and append."""
    value = initial

    def answer(_: int, call: Call) -> Answer:
        nonlocal value
        op, given = call
        if op in ("read", "get"):
            return ok(value)
        if op == "cas":
            if value != given[0]:
                return refused()
            value = given[1]
        else:
            value = value + given if op == "append" else given
        return ok()

    return answer


def lock(*, fenced: bool) -> Object:
    """A lock; one that is asked by who does not hold it refuses."""
    holder: int | None = None
    fence = 0

    def answer(process: int, call: Call) -> Answer:
        nonlocal holder, fence
        if call[0] == "acquire":
            if holder is not None:
                return refused()
            holder, fence = process, fence + 2
            return ok(fence if fenced else None)
        if holder != process or call[1] not in (None, fence):
            return refused()
        holder = None
        return ok()

    return answer


def session() -> Object:
    """A session with content and revision."""
    state: dict[str, Any] | None = None
    deleted = False

    def answer(_: int, call: Call) -> Answer:
        nonlocal state, deleted
        op, value = call
        if op == "create":
            if state is not None or deleted:
                return refused()
            state = {"content": "a", "revision": 1}
            return ok(dict(state))
        if state is None:
            return refused(status=404)
        if op == "read":
            return ok(dict(state))
        if op == "update" and value.get("if_match", state["revision"]) != state["revision"]:
            return refused(status=412)
        deleted = op == "delete"
        revision = state["revision"] + 1
        state = None if deleted else {"content": value["content"], "revision": revision}
        return ok() if deleted else ok({"revision": revision})

    return answer


def loses_a_write(story: Story) -> None:
    story.does(ONE, "write", 70)
    story.does(ONE, "write", 71)
    story.does(ONE, "read", None, 70)


def loses_a_put(story: Story) -> None:
    story.does(ONE, "put", "y")
    story.does(ONE, "put", "z")
    story.does(ONE, "get", None, "y")


def sets_what_it_did_not_find(story: Story) -> None:
    story.does(ONE, "write", 70)
    story.does(ONE, "cas", [71, 1])


def has_two_holders(story: Story) -> None:
    story.does(ONE, "acquire")
    story.does(OTHER, "acquire")


def gives_a_fence_twice(story: Story) -> None:
    story.does(ONE, "acquire", None, 1000)
    story.does(ONE, "release")
    story.does(OTHER, "acquire", None, 1000)


def brings_back_the_deleted(story: Story) -> None:
    story.does(ONE, "delete")
    story.does(ONE, "read", None, {"content": "a"})


READS = [(None, ok(value)) for value in (None, 1, 2)] + [(None, refused()), (None, LOST)]
WRITES = [(value, answer) for value in (1, 2) for answer in (ok(), ok(), refused(), LOST)]
SESSIONS: dict[str, Sequence[tuple[Any, Answer]]] = {
    "create": [(None, ok({"content": "a", "revision": 1})), (None, ok({"content": "a"})), (None, LOST)],
    "read": [
        *[(None, ok({"content": content, "revision": revision})) for content in "ab" for revision in (1, 2, 3)],
        (None, ok({"content": "b"})),
        (None, ok({"revision": 2})),
        (None, ok()),
        (None, refused(status=404)),
    ],
    "update": [
        *[({"content": content}, ok({"revision": revision})) for content in "ab" for revision in (2, 3)],
        ({"content": "b"}, ok()),
        ({"content": "b"}, LOST),
        ({"content": "b"}, refused(status=404)),
        *[({"content": "b", "if_match": revision}, ok()) for revision in (1, 2)],
        *[({"content": "b", "if_match": revision}, refused(status=412)) for revision in (1, 2)],
    ],
    "delete": [(None, ok()), (None, LOST), (None, refused(status=410))],
    "list": [(None, ok([])), (None, ok(["x"]))],
}
KINDS = {
    "register": Kind({"read": READS, "write": WRITES}, lambda: cell(None), loses_a_write),
    "cas": Kind(
        {
            "read": READS,
            "write": WRITES,
            "cas": [([old, new], answer) for old in (1, 2) for new in (1, 2) for answer in (ok(), refused(), LOST)],
        },
        lambda: cell(None),
        sets_what_it_did_not_find,
    ),
    "map": Kind(
        {
            "get": [(None, ok(text)) for text in ("", "a", "ab", "b", "ba")] + [(None, LOST)],
            "put": [(text, answer) for text in "ab" for answer in (ok(), refused(), LOST)],
            "append": [(text, answer) for text in "ab" for answer in (ok(), LOST)],
        },
        lambda: cell(""),
        loses_a_put,
    ),
    "mutex": Kind(
        {op: [(None, ok()), (None, ok()), (None, refused()), (None, LOST)] for op in ("acquire", "release")},
        lambda: lock(fenced=False),
        has_two_holders,
    ),
    "fenced-mutex": Kind(
        {
            "acquire": [*[(None, ok(fence)) for fence in (1, 2, 3)], (None, refused()), (None, LOST)],
            "release": [(None, ok()), (None, ok()), (1, ok()), (2, ok()), (None, LOST)],
        },
        lambda: lock(fenced=True),
        gives_a_fence_twice,
    ),
    "session": Kind(SESSIONS, session, brings_back_the_deleted),
}
