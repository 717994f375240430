"""What a search must know of a history before it begins: the gates, and what is under way at each.

A gate is the return of an operation that must have taken effect; gates are numbered in their order.
"""

from collections.abc import Sequence
from typing import Final

from limpet.checkers.linearizable_steps import Row, Steps
from limpet.models.base import NEVER, Action, Operation

NOWHERE: Final = -1.0  # before every moment

Entry = tuple[int, Row, int]  # bit, steps, bits of the twins that go first
Wanted = tuple[int, Action]  # bit, what is observed


class Gates:
    """Tables, all by gate.

    Attributes:
        required: the operations that return there.
        bits: theirs. A bit is given to an operation at its call and used again after its return.
        width: how many bits required operations need; those of operations that may never have happened lie above.
        observers, changers: required operations under way there.
        optional: those called before that may never have happened, and change something.
        wanted: of the observers, those that only the present state can lead to: nothing that may still be taken before
            they end forgets it for another that can. Empty without foresight.
        awaited: such an observer among those that are called later, and are certainly not taken yet.
    """

    def __init__(self, operations: Sequence[Operation], steps: Steps, *, foresight: bool) -> None:
        self._steps = steps
        self.required: list[Operation] = []
        self.bits: list[int] = []
        self.observers: list[list[Entry]] = []
        self.changers: list[list[Entry]] = []
        self.optional: list[list[Entry]] = []
        self.wanted: list[list[Wanted]] = []
        self.awaited: list[Action | None] = []
        ordered = sorted(operations, key=lambda op: op.start)
        self._open_until = self._forgotten_until(ordered) if foresight else {}
        self.width = _width(ordered)
        self._fill(ordered)
        self._await(ordered)

    def _fill(self, operations: list[Operation]) -> None:
        """Go through the history once."""
        gates = sorted((op.end, number) for number, op in enumerate(operations) if op.end != NEVER)
        unused = list(range(self.width - 1, -1, -1))
        places: dict[int, int] = {}  # number of an operation -> its bit's place
        under_way: dict[int, tuple[Operation, Row]] = {}  # by place
        optional: list[Entry] = []
        called = 0
        for end, number in gates:
            while called < len(operations) and operations[called].start < end:
                op = operations[called]
                row = self._steps.row(op.action)
                if op.end != NEVER:
                    places[called] = unused.pop()
                    under_way[places[called]] = op, row
                elif op.action.changes:
                    twins = sum(bit for bit, other, _ in optional if other is row)
                    optional = [*optional, (1 << (self.width + len(optional)), row, twins)]
                called += 1
            place = places.pop(number)
            self.required.append(operations[number])
            self.bits.append(1 << place)
            self.optional.append(optional)
            self._look_out(end, under_way)
            del under_way[place]
            unused.append(place)

    def _look_out(self, end: float, under_way: dict[int, tuple[Operation, Row]]) -> None:
        """The tables of the gate at `end`."""
        observers: list[Entry] = []
        changers: list[Entry] = []
        wanted: list[Wanted] = []
        twins: dict[int, int] = {}
        for place, (op, row) in sorted(under_way.items(), key=lambda one: one[1][0].end):
            if op.action.changes:
                before = twins.get(id(row), 0)
                changers.append((1 << place, row, before))
                twins[id(row)] = before | 1 << place
            else:
                observers.append((1 << place, row, 0))
                if self._open_until.get(op, NEVER) < end:
                    wanted.append((1 << place, op.action))
        changers.reverse()  # what is tried first is put onto the stack last
        self.observers.append(observers)
        self.changers.append(changers)
        self.wanted.append(wanted)

    def _forgotten_until(self, operations: list[Operation]) -> dict[Operation, float]:
        """Required observer -> up to which moment something may be taken that forgets, and leads to it all the same."""
        # whatever the state was before, the one after is that after the initial one
        forgetting = [(op.start, op.end, self._steps.row(op.action)[0]) for op in operations if op.action.forgets]
        return {
            op: max(
                (end for start, end, state in forgetting if start < op.end and self._steps.lead_to(state, op.action)),
                default=NOWHERE,
            )
            for op in operations
            if op.end != NEVER and not op.action.changes
        }

    def _await(self, operations: list[Operation]) -> None:
        """Of the observers that are called after each gate the one that ends first, if it is a wanted one."""
        later = [op for op in operations if op in self._open_until]
        first: Operation | None = None
        for gate in reversed(self.required):
            while later and later[-1].start > gate.end:
                op = later.pop()
                first = op if first is None or op.end < first.end else first
            wanted = first is not None and self._open_until[first] < gate.end
            self.awaited.append(first.action if first and wanted else None)
        self.awaited.reverse()


def _width(operations: Sequence[Operation]) -> int:
    """The most required operations that are under way at the same time, one that returns included."""
    moments: list[tuple[float, int]] = []
    for op in operations:
        if op.end != NEVER:
            moments += ((op.start, 1), (op.end, -1))
    most = under_way = 0
    for _, change in sorted(moments):
        under_way += change
        most = max(most, under_way)
    return most
