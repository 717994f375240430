"""The fewest operations that prove that an object has no order.

What the search hands over is a beginning of the history that has none. Most of it has nothing to do with that. An
operation is taken out of the proof by allowing more, never by forgetting something that the object did:

- an observer is dropped: an order that explains it too explains the rest;
- any other is *freed*: it may have happened any number of times, at any time, or never;
- where that allows too much to be searched, it may have happened at any time, once or never;
- where that explains the history, it is *loosened*: it may have happened at any time after its call, once or never.

Every order of the true history is one of the looser history too. So if there is none even of that, the operations that
are left prove it, whatever became of the others. That is tested by the same search, in large pieces first (Zeller and
Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), within a budget; what is not decided stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from limpet.checkers.linearizable import Stuck
from limpet.checkers.linearizable_search import Search
from limpet.checkers.linearizable_steps import Steps
from limpet.models.base import NEVER, Action, Model, Operation

TRIES = 300
CONFIGURATIONS_A_TRY = 500


@dataclass(frozen=True, slots=True)
class Proof:
    """Why an object has no order.

    Attributes:
        operations: those that prove it, in the order of their calls; the one that cannot be explained is among them.
        loosened: those of them that may also never have happened.
        others: how many more there were up to there, which make no difference.
    """

    operations: tuple[Operation, ...]
    loosened: frozenset[Operation]
    others: int


def prove(stuck: Stuck, model: Model) -> Proof:
    """The smallest proof that is found within the budget."""
    return _Shrinking(stuck, model).run()


class _Shrinking:
    def __init__(self, stuck: Stuck, model: Model) -> None:
        self._stuck = stuck
        self._steps = Steps(model)
        self._kept = [
            op if op.end < stuck.operation.end else replace(op, end=NEVER)  # not back by then: it may not have happened
            for op in sorted(stuck.before, key=lambda op: op.end)
        ]
        self._free: list[Action] = []
        self._once: list[Operation] = []  # at any time, or never
        self._tries = 0

    def run(self) -> Proof:
        self._drop_pieces()
        if self._loosen():
            self._drop_pieces()
        kept = sorted([*self._kept, self._stuck.operation], key=lambda op: op.start)
        true = {op.call_no: op for op in (*self._stuck.before, self._stuck.operation)}
        return Proof(
            tuple(true[op.call_no] for op in kept),
            frozenset(true[op.call_no] for op in self._kept if op.end == NEVER),
            len(self._stuck.before) - len(self._kept),
        )

    def _drop_pieces(self) -> None:
        """Take out what can be: half of it, quarters, and so on, the oldest first."""
        size = len(self._kept) // 2 or 1
        while self._kept:
            at = 0
            while at < len(self._kept):
                piece = self._kept[at : at + size]
                rest = self._kept[:at] + self._kept[at + size :]
                free = [*self._free, *(op.action for op in piece if op.action.changes)]
                if self._none(rest, free):
                    self._kept, self._free = rest, list(dict.fromkeys(free))
                else:
                    at += size
            if size == 1:
                return
            size //= 2

    def _loosen(self) -> bool:
        """Let what is left also have happened at another time or never, one by one."""
        before = self._kept, self._once
        for op in [op for op in self._kept if op.action.changes]:
            at = self._kept.index(op)
            first, last = self._kept[:at], self._kept[at + 1 :]
            once = [*self._once, replace(op, start=-1, end=NEVER)]
            looser = [*first, replace(op, end=NEVER), *last]
            if self._none([*first, *last], self._free, once):
                self._kept, self._once = first + last, once
            elif op.end != NEVER and self._none(looser, self._free):
                self._kept = looser
        return before != (self._kept, self._once)

    def _none(
        self, operations: Sequence[Operation], free: Sequence[Action], once: Sequence[Operation] | None = None
    ) -> bool:
        """Whether there is certainly no order."""
        self._tries += 1
        if self._tries > TRIES:
            return False
        others = self._once if once is None else once
        search = Search([*operations, *others, self._stuck.operation], self._steps, free)
        return search.run(CONFIGURATIONS_A_TRY) is False
