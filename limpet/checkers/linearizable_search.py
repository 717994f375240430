"""The search for an order of the operations on one object, after Wing and Gong, with the memory that Lowe added.

Wing and Gong, "Testing and Verifying Concurrent Objects" (JPDC 17, 1993); Lowe, "Testing for Linearizability" (2017);
Athalye's Porcupine. The search goes depth first: an operation that is under way is taken as the next one to take
effect, if the model allows it, until all that had to are taken, or nothing is left to try.

A *configuration* is a gate, the operations taken of those under way there, and the object's state. A *gate* is the
return of an operation that must have taken effect; gates are numbered in their order. A configuration stands at the
first gate whose operation is not taken yet: everything that returned before is taken, everything called later is not.
So only operations under way at the gate need a bit, and bits are used again: configurations stay small numbers, however
long the history is, and there is no list to take entries from and to put them back into. The rest is as in Porcupine:
states are numbered, what a step gives is remembered, and no configuration is looked at twice.

Three things keep the number of configurations down. None of them loses an order that could have been found:

- *Observers at once.* An operation that never changes the object, and that is possible in the present state without
  telling more about it, is taken as soon as it is under way. If some order explains the rest, take the observer out of
  it and put it here: nothing else sees the difference, and nothing that returned before it is overtaken, because all
  of that is taken already.
- *Twins in the order of their ends.* Of two operations under way that do the same and answer the same, the one that
  ends first is taken first. In an order that has them the other way round they can change places: both are under way,
  and the one that now comes later is the one that may. Two that may never have happened go in the order of their calls.
- *Unknown outcomes only where they help.* What may never have happened is never taken where it changes nothing. And a
  configuration is dropped if another, with the same gate, state and required operations, took a part of the same
  optional operations: whatever the first can still do, the second can do too.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from sys import getsizeof
from typing import Final

from limpet.models.base import IMPOSSIBLE, NEVER, Action, Model, Operation

CONFIGURATION_BYTES: Final = 200  # measured: a visited configuration with its share of tables and stack
NO: Final = -1  # in place of a state: the step is impossible


class Row(dict[int, int]):
    """What one action does: state -> state, or NO. Asked of the model once."""

    def __init__(self, action: Action, ask: Callable[[int, Action], int]) -> None:
        super().__init__()
        self._action = action
        self._ask = ask

    def __missing__(self, state: int) -> int:
        after = self[state] = self._ask(state, self._action)
        return after


class Steps:
    """A model's states, numbered as they are met, and its steps between them. Shared by all objects of a history.

    Attributes:
        states: by their numbers; 0 is the initial one.
        size_bytes: what they take, about.
    """

    def __init__(self, model: Model) -> None:
        self._step = model.step
        self._rows: dict[Action, Row] = {}
        self._numbers: dict[Hashable, int] = {model.initial: 0}
        self.states: list[Hashable] = [model.initial]
        self.size_bytes = 0

    def row(self, action: Action) -> Row:
        """The steps of an action. Equal actions have one row, so that twins are told by identity."""
        row = self._rows.get(action)
        if row is None:
            row = self._rows[action] = Row(action, self._after)
        return row

    def _after(self, state: int, action: Action) -> int:
        after = self._step(self.states[state], action)
        if after is IMPOSSIBLE:
            return NO
        number = self._numbers.setdefault(after, len(self.states))
        if number == len(self.states):
            self.states.append(after)
            self.size_bytes += getsizeof(after) + CONFIGURATION_BYTES
        return number


Entry = tuple[int, Row, int]  # bit, steps, bits of the twins that go first
Look = tuple[
    int, list[tuple[int, int, int]]
]  # bits of observers to take at once, (bit, twins, state after) of the rest


class Search:
    """The search on one object. It can be stopped and go on.

    Attributes:
        required: the operations that must have taken effect, in the order of their ends.
        deepest: the furthest gate that was reached: `required[deepest]` is the first that no order explains.
        states_there: the states that were reached at that gate.
        configurations: how many were met.
    """

    def __init__(self, operations: Iterable[Operation], steps: Steps, free: Sequence[Action] = ()) -> None:
        """Prepare the search. `free` actions may happen any number of times, at any time (linearizable_evidence.py)."""
        self._steps = steps
        self._free = [steps.row(action) for action in free]
        self._observers: list[list[Entry]] = []  # by gate, as the two below
        self._changers: list[list[Entry]] = []
        self._optional: list[list[Entry]] = []
        self._bits: list[int] = []  # of the operation that returns there
        self._looks: list[dict[int, Look]] = []
        self.required: list[Operation] = []
        width = self._prepare(sorted(operations, key=lambda op: op.start))
        self._required_bits = (1 << width) - 1
        self._width = width
        self._visited: dict[int, int | list[int]] = {}
        self._stack: list[tuple[int, int, int]] = []
        self.deepest = -1
        self.states_there: set[int] = set()
        self.configurations = 0
        self._found = not self.required
        if self.required:
            self._found = self._reach(0, 0, 0)

    def _prepare(self, operations: list[Operation]) -> int:
        """Fill the tables of the gates; the number of bits that required operations need at a time."""
        gates = sorted((op.end, number) for number, op in enumerate(operations) if op.end != NEVER)
        self.required = [operations[number] for _, number in gates]
        width = _width(operations, self.required)
        unused = list(range(width - 1, -1, -1))
        slots: dict[int, int] = {}  # number of an operation -> its bit's place
        under_way: dict[int, tuple[float, Row, bool]] = {}  # place -> end, steps, whether it changes something
        optional: list[Entry] = []
        called = 0
        for end, gate in gates:
            while called < len(operations) and operations[called].start < end:
                op = operations[called]
                row = self._steps.row(op.action)
                if op.end != NEVER:
                    slot = slots[called] = unused.pop()
                    under_way[slot] = op.end, row, op.action.changes
                elif op.action.changes:
                    twins = sum(bit for bit, other, _ in optional if other is row)
                    optional = [*optional, (1 << (width + len(optional)), row, twins)]
                called += 1
            self._look_out(under_way, optional)
            slot = slots.pop(gate)
            self._bits.append(1 << slot)
            del under_way[slot]
            unused.append(slot)
        return width

    def _look_out(self, under_way: dict[int, tuple[float, Row, bool]], optional: list[Entry]) -> None:
        """The tables of one gate."""
        observers: list[Entry] = []
        changers: list[Entry] = []
        twins: dict[int, int] = {}
        for slot, (_, row, changes) in sorted(under_way.items(), key=lambda one: one[1][0]):
            if changes:
                before = twins.get(id(row), 0)
                changers.append((1 << slot, row, before))
                twins[id(row)] = before | 1 << slot
            else:
                observers.append((1 << slot, row, 0))
        changers.reverse()  # what is tried first is put onto the stack last
        self._observers.append(observers)
        self._changers.append(changers)
        self._optional.append(optional)
        self._looks.append({})

    def _look(self, gate: int, state: int) -> Look:
        """What can be taken at a gate in a state, as far as it does not depend on what is taken already."""
        at_once = 0
        rest: list[tuple[int, int, int]] = []
        for row in self._free:
            after = row[state]
            if after not in (NO, state):
                rest.append((0, 0, after))
        for bit, row, twins in self._optional[gate]:
            after = row[state]
            if after not in (NO, state):
                rest.append((bit, twins, after))
        for bit, row, twins in self._changers[gate]:
            after = row[state]
            if after != NO:
                rest.append((bit, twins, after))
        for bit, row, _ in self._observers[gate]:
            after = row[state]
            if after == state:
                at_once |= bit
            elif after != NO:
                rest.append((bit, 0, after))
        look = self._looks[gate][state] = (at_once, rest)
        return look

    def run(self, configurations: int) -> bool | None:
        """Go on for about so many configurations: whether there is an order; None while that is open."""
        if self._found:
            return True
        stack, looks = self._stack, self._looks
        until = self.configurations + configurations
        while stack:
            gate, taken, state = stack.pop()
            for bit, twins, after in looks[gate][state][1]:
                if not taken & bit and taken & twins == twins and self._reach(gate, taken | bit, after):
                    self._found = True
                    return True
            if self.configurations >= until and stack:
                return None
        return False

    def _reach(self, gate: int, taken: int, state: int) -> bool:
        """Meet a configuration: take the observers, go on to its gate, remember it. True at the end of an order."""
        looks, bits = self._looks, self._bits
        while True:
            look = looks[gate].get(state) or self._look(gate, state)
            taken |= look[0]
            bit = bits[gate]
            if not taken & bit:
                break
            while taken & bit:
                taken ^= bit
                gate += 1
                if gate == len(bits):
                    return True
                bit = bits[gate]
        if gate >= self.deepest:
            if gate > self.deepest:
                self.deepest = gate
                self.states_there.clear()
            self.states_there.add(state)
        key = ((state * len(bits) + gate) << self._width) | (taken & self._required_bits)
        if self._is_new(key, taken >> self._width):
            self.configurations += 1
            self._stack.append((gate, taken, state))
        return False

    def _is_new(self, key: int, optional: int) -> bool:
        """Remember a configuration. False if one was met that took the same and no more of the optional operations."""
        visited = self._visited
        met = visited.get(key)
        if met is None:
            visited[key] = optional
            return True
        if isinstance(met, int):
            if met & optional == met:
                return False
            visited[key] = optional if met & optional == optional else [met, optional]
            return True
        if any(one & optional == one for one in met):
            return False
        met[:] = [one for one in met if one & optional != optional]
        met.append(optional)
        return True


def _width(operations: list[Operation], required: list[Operation]) -> int:
    """The most required operations that are under way at the same time, one that returns included."""
    most = under_way = 0
    starts = iter([op.start for op in operations if op.end != NEVER])
    start = next(starts, None)
    for gate in required:
        while start is not None and start < gate.end:
            under_way += 1
            start = next(starts, None)
        most = max(most, under_way)
        under_way -= 1
    return most
