"""Linearizability of any object that has a model: is there one order of all operations that explains every answer?

Objects are judged each for itself (a history is linearizable iff that of each object is: Herlihy and Wing, 1990), and
raced: each gets a small number of configurations to look at, then all that are still open get four times as many, and
so on. One object without an order is enough, and is often found quickly while others would take for ever.

The search may need more memory than there is. Its budget is counted, not measured in time, so that a history is judged
alike on every machine: what is open when the budget is used up is `unknown`.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from limpet.checkers.linearizable_search import CONFIGURATION_BYTES, Search
from limpet.checkers.linearizable_steps import Steps
from limpet.models.base import NEVER, Model, Operation

BUDGET_MIB = 512
FIRST_TURN = 256  # configurations
TURN_GROWTH = 4
LOOK_BACK = 50_000  # configurations of one search for where no order goes on
SLICE = 1024  # configurations between two looks at the budget


@dataclass(frozen=True, slots=True)
class Stuck:
    """Where no order goes on.

    Attributes:
        key: the object.
        operation: the first to return that no order of what came before explains.
        before: all that was called before that return, without it.
        ordered: how many of these had returned, and can be ordered.
        states: those that orders of them lead to; none where there are too many to look at.
    """

    key: Hashable
    operation: Operation
    before: tuple[Operation, ...]
    ordered: int
    states: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What the search says.

    Attributes:
        verdict: `unknown` when the budget was used up.
        configurations: how many were looked at.
        objects: how many there are.
        stuck: of the first object that has no order.
        open: objects that are not decided.
    """

    verdict: Literal["legal", "illegal", "unknown"]
    configurations: int
    objects: int
    stuck: Stuck | None = None
    open: tuple[Hashable, ...] = ()


def check(objects: Mapping[Hashable, Sequence[Operation]], model: Model, budget_mib: float = BUDGET_MIB) -> Result:
    """Judge the operations on each object, as the model parts them. `budget_mib` is about what the search may keep."""
    return _Race(objects, Steps(model), budget_mib * (1 << 20)).run()


class _Race:
    def __init__(self, objects: Mapping[Hashable, Sequence[Operation]], steps: Steps, budget_bytes: float) -> None:
        self._objects = objects
        self._steps = steps
        self._budget_bytes = budget_bytes
        self._searches: dict[Hashable, Search] = {}  # begun and open
        self._configurations = 0

    def run(self) -> Result:
        """Turn by turn, the small ones first."""
        open_ = sorted(self._objects, key=lambda key: len(self._objects[key]))
        turn = FIRST_TURN
        while open_:
            left = []
            for at, key in enumerate(open_):
                legal = self._turn(key, turn)
                if legal is False:
                    return self._result("illegal", stuck=self._stuck(key))
                if legal is None:
                    left.append(key)
                    if self._spent():
                        return self._result("unknown", open_=(*left, *open_[at + 1 :]))
            open_ = left
            turn *= TURN_GROWTH
        return self._result("legal")

    def _turn(self, key: Hashable, configurations: int) -> bool | None:
        """So many more configurations for one object, or less if the budget does not last."""
        search = self._searches.get(key)
        if search is None:
            search = self._searches[key] = Search(self._objects[key], self._steps)
        until = search.configurations + configurations
        legal: bool | None = None
        while legal is None and search.configurations < until and not self._spent():
            before = search.configurations
            legal = search.run(min(SLICE, until - before))
            self._configurations += search.configurations - before
        if legal:
            del self._searches[key]  # and with it what it remembers
        return legal

    def _spent(self) -> bool:
        kept = sum(search.configurations for search in self._searches.values())
        return kept * CONFIGURATION_BYTES + self._steps.size_bytes > self._budget_bytes

    def _result(
        self,
        verdict: Literal["legal", "illegal", "unknown"],
        *,
        stuck: Stuck | None = None,
        open_: tuple[Hashable, ...] = (),
    ) -> Result:
        return Result(verdict, self._configurations, len(self._objects), stuck, open_)

    def _stuck(self, key: Hashable) -> Stuck:
        search = self._searches[key]
        operations = self._objects[key]
        operation, states = search.required[search.deepest], search.states_there
        if search.foreseen:
            operation, states = self._first_unexplained(operations, search.required)
        before = tuple(op for op in operations if op.start < operation.end and op is not operation)
        ordered = sum(op.end < operation.end for op in before if op.end != NEVER)
        return Stuck(key, operation, before, ordered, tuple(self._steps.states[state] for state in sorted(states)))

    def _first_unexplained(
        self, operations: Sequence[Operation], required: Sequence[Operation]
    ) -> tuple[Operation, set[int]]:
        """The first return up to which there is no order, by bisection: a beginning of what has an order has one."""
        explained, unexplained = -1, len(required) - 1
        while unexplained - explained > 1:
            middle = (explained + unexplained) // 2
            if Search(_beginning(operations, required[middle]), self._steps).run(LOOK_BACK) is False:
                unexplained = middle
            else:
                explained = middle
        operation = required[unexplained]
        plain = Search(_beginning(operations, operation), self._steps, foresight=False)
        plain.run(LOOK_BACK)
        return operation, plain.states_there if plain.required[plain.deepest] == operation else set()


def _beginning(operations: Sequence[Operation], last: Operation) -> list[Operation]:
    """What was called before the return of `last`; what had not returned by then may not have happened."""
    called = (op for op in operations if op.start < last.end)
    return [op if op.end <= last.end else replace(op, end=NEVER) for op in called]
