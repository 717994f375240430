"""One key of Redis while a trace is replayed: everything that it may hold just now.

What it holds is certain but for two cases: a conditional command whose reply is not known, and the moments round an
expiry (the server reads its clock once a command, MONITOR once more). Then it may hold one of several things, and
nothing is found against anybody that is not wrong in each of these cases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from limpet.checkers.redis_commands import Write

V = TypeVar("V")
MARGIN_US = 20_000


@dataclass(frozen=True, slots=True)
class Content(Generic[V]):
    """What a key may hold: nothing (None) or a value, until a moment by the server's clock (None: for ever)."""

    value: V | None = None
    until_us: float | None = None


@dataclass(frozen=True, slots=True)
class Applied(Generic[V]):
    """What became of a command.

    Attributes:
        done: whether it took effect; None when it may have.
        before: everything that the key may have held, if it did take effect.
        kept: the same, if it did not.
        impossible: its reply cannot be, by all that was seen before.
    """

    done: bool | None
    before: tuple[V | None, ...]
    kept: tuple[V | None, ...]
    impossible: bool


class Cell(Generic[V]):
    """One key. `unknown`: a value that stands for anything that is not known."""

    def __init__(self, unknown: V, *, empty: bool) -> None:
        """`empty`: it holds nothing at first; else nobody knows."""
        self._unknown = unknown
        self._contents: list[Content[V]] = [Content()] if empty else [Content(), Content(unknown)]

    def at(self, moment_us: float) -> list[Content[V]]:
        """Everything that it may hold at that moment."""
        found: list[Content[V]] = []
        for content in self._contents:
            until_us = content.until_us
            if until_us is None or moment_us < until_us + MARGIN_US:
                found.append(content)
            if until_us is not None and moment_us > until_us - MARGIN_US and Content() not in found:
                found.append(Content())
        return found

    def values(self, moment_us: float) -> list[V | None]:
        """The same without the times."""
        return [content.value for content in self.at(moment_us)]

    def apply(self, write: Write, moment_us: float, value: Callable[[V | None], V]) -> Applied[V]:
        """Carry out a command; `value` makes what the key holds then out of what it held."""
        contents = self.at(moment_us)
        may = [content for content in contents if _may(write, content)]
        may_not = [content for content in contents if _may_not(write, content)]
        impossible = (write.done is True and not may) or (write.done is False and not may_not)
        if write.done is True:
            may, may_not = may or [Content()], []
        elif write.done is False:
            may, may_not = [], may_not or contents
        changed = [self._changed(write, content, moment_us, value) for content in may]
        self._contents = list(dict.fromkeys([*changed, *may_not]))
        done = None if may and may_not else bool(may)
        return Applied(done, tuple(c.value for c in may), tuple(c.value for c in may_not), impossible)

    def _changed(
        self, write: Write, content: Content[V], moment_us: float, value: Callable[[V | None], V]
    ) -> Content[V]:
        until_us = None if write.ttl_ms is None else moment_us + write.ttl_ms * 1000
        if write.kind == "drop" or (write.kind == "expire" and write.ttl_ms is not None and write.ttl_ms <= 0):
            return Content()
        if write.keeps_ttl:
            until_us = content.until_us
        if write.kind in ("set", "count"):
            return Content(value(content.value), until_us)
        return Content(self._unknown if write.kind == "other" else content.value, until_us)


def _may(write: Write, content: Content[V]) -> bool:
    """Whether the command can take effect on this."""
    if write.kind in ("drop", "expire", "persist") and content.value is None:
        return False
    if write.kind == "persist" and content.until_us is None:
        return write.done is None
    return not (
        (write.only_if == "absent" and content.value is not None)
        or (write.only_if in ("present", "equal") and content.value is None)
    )


def _may_not(write: Write, content: Content[V]) -> bool:
    """Whether it can be without effect on this."""
    return write.only_if == "equal" or not _may(write, content) or (write.kind == "expire" and write.done is False)
