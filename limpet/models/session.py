"""A session: created once, read, updated, deleted for good. Its revision grows with every change.

What a history does not tell (a content, a revision) is left open in the state, and settled by the first operation that
does tell it. So a state stands for all sessions that fit what is known.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

from limpet.models.base import IMPOSSIBLE, Action, Given, Operation, outcome
from limpet.models.session_parts import by_session
from limpet.models.values import freeze, shown

UNTOLD: Final = ("untold",)  # a content that nobody told; no frozen value looks like it
DELETED: Final = ("deleted",)
NOT_FOUND, GONE, PRECONDITION_FAILED = 404, 410, 412


@dataclass(frozen=True, slots=True)
class Live:
    """A session that is there.

    Attributes:
        content: as last written, UNTOLD where nobody knows.
        revision: the one it has, or the least that it can have: -inf where nothing is known.
        known: whether it is exactly that.
        others: revisions above the least that it does not have, since an update that asked for one was refused.
    """

    content: Hashable = UNTOLD
    revision: float = -inf
    known: bool = False
    others: frozenset[float] = frozenset()

    def at(self, revision: float) -> "Live | None":
        """The same where its revision is this; None if it cannot be."""
        if self.known:
            return self if revision == self.revision else None
        fits = revision >= self.revision and revision not in self.others
        return Live(self.content, revision, known=True) if fits else None

    def not_at(self, revision: float) -> "Live | None":
        """The same where its revision is another than this."""
        if self.known:
            return None if revision == self.revision else self
        least, others = self.revision, self.others | {revision}
        while least in others:
            least += 1
        return Live(self.content, least, known=False, others=frozenset(one for one in others if one > least))

    def changed(self, content: Hashable, revision: Hashable) -> "Live | None":
        """After an update, which gave it a larger revision; `revision` None: nobody knows which."""
        if isinstance(revision, int):
            return Live(content, revision, known=True) if revision > self.revision else None
        return Live(content, self.revision + 1)


class Session:
    """`create`, `read`, `update`, `delete`, and `list`, which tells of every session whether it is there."""

    name = "session"
    ops: tuple[str, ...] = ("create", "read", "update", "delete", "list")
    initial: Hashable = None

    def action(self, call: Given, done: Given | None) -> Action | None:
        """404 and 410 are reads of absence, 412 says that the revision is another; other refusals say nothing."""
        how = outcome(done)
        if call.op == "create":
            key = freeze(call.value)
            if how == "fail":
                return None
            return Action("create", key, _told(done) if how == "ok" else (UNTOLD, None), outcome=how)
        if how == "fail" and done is not None:
            return _refused(call, done.data.get("status"))
        if call.op in ("read", "list"):
            return _seen(call, done) if how == "ok" and done is not None else None
        if call.op == "delete":
            return Action("delete", outcome=how)
        content, match = _written(call.value)
        return Action("update", (content, match), _told(done)[1] if how == "ok" else None, outcome=how)

    def partition(self, operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
        """Every session is an object; see session_parts.py for lists and for creates that were tried again."""
        return by_session(operations)

    def step(self, state: Hashable, action: Action) -> Hashable:
        """The state is None before the create, Live, and DELETED in the end."""
        if action.op == "create":
            assert isinstance(action.result, tuple)
            content, revision = action.result
            if state is not None:
                return IMPOSSIBLE
            return Live(content) if revision is None else Live(content, revision, known=True)
        if action.op == "absent":
            return IMPOSSIBLE if isinstance(state, Live) else state
        after = _after(state, action) if isinstance(state, Live) else None
        return IMPOSSIBLE if after is None else after

    def tell(self, action: Action) -> str:
        """`update to "a" if at revision 3, now 4`."""
        words = {"absent": "not found", "present": "listed", "stale": f"refused: not at revision {action.argument}"}
        text = words.get(action.op, action.op)
        revision: Hashable = None
        if action.op == "update":
            assert isinstance(action.argument, tuple)
            content, match = action.argument
            text += f" to {shown(content)}" if content != UNTOLD else ""
            text += "" if match is None else f" if at revision {match}"
            revision = action.result
        elif action.op in ("create", "read"):
            assert isinstance(action.result, tuple)
            content, revision = action.result
            text += f" {shown(content)}" if content != UNTOLD else ""
        return text + ("" if revision is None else f", revision {revision}")

    def tell_state(self, state: Hashable) -> str:
        """`"a" at revision 4`."""
        if not isinstance(state, Live):
            return "not created" if state is None else "deleted"
        content = "there" if state.content == UNTOLD else shown(state.content)
        if state.known:
            return f"{content} at revision {state.revision}"
        return content if state.revision == -inf else f"{content} at a revision of {state.revision} or more"


def _after(state: Live, action: Action) -> Hashable:
    """What becomes of a session that is there; None where that cannot be."""
    if action.op == "present":
        return state
    if action.op == "delete":
        return DELETED
    if action.op == "stale":
        assert isinstance(action.argument, int)
        return state.not_at(action.argument)
    if action.op == "read":
        assert isinstance(action.result, tuple)
        content, revision = action.result
        if content not in (UNTOLD, state.content) and state.content != UNTOLD:
            return None
        at = state if revision is None else state.at(revision)
        return at if at is None or content in (UNTOLD, at.content) else replace(at, content=content)
    assert isinstance(action.argument, tuple)
    content, match = action.argument
    found = state if match is None else state.at(match)
    return found.changed(content, action.result) if found else None


def _refused(call: Given, status: object) -> Action | None:
    if status in (NOT_FOUND, GONE):
        return Action("absent", changes=False)
    if status == PRECONDITION_FAILED and call.op == "update":
        match = _written(call.value)[1]
        return None if match is None else Action("stale", match, changes=False)
    return None


def _seen(call: Given, done: Given) -> Action:
    if call.op == "read":
        if done.value is None:
            return Action("absent", changes=False)
        return Action("read", result=_told(done), changes=False)
    if not isinstance(done.value, list):
        raise ValueError(f'the answer of a list is {done.value!r}; write the ids as ["..."]')  # noqa: TRY004  a wrong value
    return Action("list", result=frozenset(map(str, done.value)), changes=False)


def _told(done: Given | None) -> tuple[Hashable, int | None]:
    """Content and revision as an answer tells them."""
    value = done.value if done is not None else None
    if value is not None and not isinstance(value, dict):
        raise ValueError(f'a session is {value!r}; write {{"content": ..., "revision": 1}}, either may be left out')
    return _content(value), _number(value, "revision")


def _written(value: Any) -> tuple[Hashable, int | None]:
    """Content and wanted revision of an update's call."""
    if value is not None and not isinstance(value, dict):
        raise ValueError(
            f'an update writes {value!r}; write {{"content": ...}}, with "if_match": 3 if it asked for one'
        )
    return _content(value), _number(value, "if_match")


def _content(value: dict[str, Any] | None) -> Hashable:
    return freeze(value["content"]) if value and "content" in value else UNTOLD


def _number(value: dict[str, Any] | None, name: str) -> int | None:
    number = value.get(name) if value else None
    if number is not None and type(number) is not int:
        raise ValueError(f"{name} is {number!r}; write a whole number")
    return number
