"""What a model is: how an object behaves when one operation comes after the other.

A model says nothing about concurrency. The search (limpet/checkers/linearizable.py) asks it, for one order of the
operations after the other, whether the object could have answered like that.

An operation has one of three outcomes, and each model says what they mean:
- `ok`: it took effect once, between its call and its return, and answered with its result;
- `fail`: it did not take effect. That says nothing about the object, unless the refusal itself is an answer: a refused
  compare-and-set has seen another value. A failure that has an error in its data (a refused connection, a time-out)
  never says anything;
- `info`: it may have taken effect at any time after its call, up to the end, or never.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, Final, Literal, Protocol, runtime_checkable

import msgspec

Outcome = Literal["ok", "fail", "info"]

NEVER: Final = inf  # the end of an operation that may take effect at any time, or not at all


class _Impossible:
    def __repr__(self) -> str:
        return "IMPOSSIBLE"


IMPOSSIBLE: Final = _Impossible()  # what no state is: None is one, the value nil of a register


class Given(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One line of a history that somebody gives us: a line of limpet/history.py, or the little that is needed of one.

    The object is named by `session` or by `key`; where there is only one, by neither.
    """

    type: str
    op: str = ""
    process: int | str = -1
    session: str = ""
    key: str | int | None = None
    value: Any = None
    data: dict[str, Any] = {}
    t: int = 0
    pod: str = ""


# Actions and operations are made by the million and are keys of dictionaries: structs make, hash and compare in C.


class Action(msgspec.Struct, frozen=True, gc=False):
    """What an operation does to the object and what it answers, whenever and by whom: all that a step depends on.

    Attributes:
        op: its name.
        argument: what it was called with, as `values.freeze` makes it.
        result: what it answered.
        outcome: `fail` where the refusal is an answer, `info` where nobody knows.
        changes: whether it may change the object. One that does not leaves every state in which it is possible.
        forgets: whether nothing of the state before is left, whatever it was.
        by: who did it, where that matters.
    """

    op: str
    argument: Hashable = None
    result: Hashable = None
    outcome: Outcome = "ok"
    changes: bool = True
    forgets: bool = False
    by: Hashable = None


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation on one object.

    Attributes:
        key: the object, as far as its model tells objects apart.
        start, end: the moments between which it took effect; `end` is NEVER where it may not have, or later.
        call_no, done_no: its lines, from 1; `done_no` is 0 while nothing came back.
    """

    action: Action
    key: Hashable
    start: int
    end: float
    call_no: int
    done_no: int

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines that it stands in."""
        return (self.call_no, self.done_no) if self.done_no else (self.call_no,)


class Model(Protocol):
    """A kind of object. States are hashable; steps are pure.

    Attributes:
        name: as it is given on the command line.
        ops: what can be done with it.
        initial: its state before the first operation.
    """

    name: str
    ops: tuple[str, ...]
    initial: Hashable

    def action(self, call: Given, done: Given | None) -> Action | None:
        """What an operation did; None where its outcome says nothing. Raises ValueError with what to write instead."""

    def partition(self, operations: Iterable[Operation]) -> Mapping[Hashable, Sequence[Operation]]:
        """The operations on each object; all of them are linearizable iff those on each object are."""

    def step(self, state: Hashable, action: Action) -> Hashable:
        """The state after an action, IMPOSSIBLE where the object would not have answered like that."""

    def tell(self, action: Action) -> str:
        """An action in words: `write 3`."""

    def tell_state(self, state: Hashable) -> str:
        """A state in words."""


@runtime_checkable
class Foreseeing(Protocol):
    """A model whose states tell what can still come of them, so that a search need not follow each to its end."""

    def leads_to(self, state: Hashable, observed: Action) -> bool:
        """Whether changes that do not forget may lead from a state to one in which `observed` is possible."""


def outcome(done: Given | None) -> Outcome:
    """`ok`, `fail` or `info`; `info` where nothing came back."""
    return "info" if done is None else done.type  # type: ignore[return-value]  # the reader lets no other pass


def answered_no(done: Given | None) -> bool:
    """Whether the object itself refused, which may be an answer; an error on the way there is none."""
    return done is not None and done.type == "fail" and "error" not in done.data


def by_key(operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
    """Operations on one key are on one object."""
    found: dict[Hashable, list[Operation]] = {}
    for operation in operations:
        if operation.key in found:
            found[operation.key].append(operation)
        else:
            found[operation.key] = [operation]
    return found
