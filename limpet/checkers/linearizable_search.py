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

Four things keep the number of configurations down. None of them loses an order that could have been found:

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
- *Foresight.* A text that is only appended to must be a beginning of what is read later. A model may tell so. Then a
  configuration is given up if its state cannot lead to an answer that is still to come, of an operation that is under
  way and not taken or is called after the gate, and if nothing that may be taken before that operation ends forgets
  the state for one that can.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from limpet.checkers.linearizable_gates import Gates
from limpet.checkers.linearizable_steps import NO, Steps
from limpet.models.base import Action, Operation

CONFIGURATION_BYTES: Final = 100  # measured: 70 for one that was met, with its share of tables and stack
ALL: Final = -1  # more bits than there can be: nothing comes of this state

# What can be taken at a gate in a state, as far as that does not depend on what is taken already: bits of observers to
# take at once; bits that must be taken by then; (bit, bits of twins, state after) of the rest.
Look = tuple[int, int, list[tuple[int, int, int]]]


class Search:
    """The search on one object. It can be stopped and go on.

    Attributes:
        required: the operations that must have taken effect, in the order of their ends.
        deepest: the furthest gate that was reached: `required[deepest]` is the first that no order explains.
        states_there: the states that were reached at that gate.
        foreseen: whether states were given up for what was still to come. Then the history of which there is no order
            may reach further than `deepest`.
        configurations: how many were met.
    """

    def __init__(
        self, operations: Iterable[Operation], steps: Steps, free: Sequence[Action] = (), *, foresight: bool = True
    ) -> None:
        """Prepare the search. `free` actions may happen any number of times, at any time (linearizable_evidence.py)."""
        foresight = foresight and steps.foresees and not any(action.forgets for action in free)
        self._gates = gates = Gates(list(operations), steps, foresight=foresight)
        self._steps = steps
        self._free = [steps.row(action) for action in free]
        self._looks: list[dict[int, Look]] = [{} for _ in gates.required]
        self._required_bits = (1 << gates.width) - 1
        self._visited: dict[int, int | list[int]] = {}
        self._stack: list[tuple[int, int, int]] = []
        self.required = gates.required
        self.deepest = 0
        self.states_there: set[int] = set()
        self.foreseen = False
        self.configurations = 0
        self._found = not self.required or self._reach(0, 0, 0)

    def run(self, configurations: int) -> bool | None:
        """Go on for about so many configurations: whether there is an order; None while that is open."""
        if self._found:
            return True
        stack, looks = self._stack, self._looks
        until = self.configurations + configurations
        while stack:
            gate, taken, state = stack.pop()
            for bit, twins, after in looks[gate][state][2]:
                if not taken & bit and taken & twins == twins and self._reach(gate, taken | bit, after):
                    self._found = True
                    return True
            if self.configurations >= until and stack:
                return None
        return False

    def _reach(self, gate: int, taken: int, state: int) -> bool:
        """Meet a configuration: take the observers, go on to its gate, remember it. True at the end of an order."""
        looks, bits = self._looks, self._gates.bits
        while True:
            at_once, must, _ = looks[gate].get(state) or self._look(gate, state)
            taken |= at_once
            if taken & must != must:
                self.foreseen = True
                return False
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
        width = self._gates.width
        key = ((state * len(bits) + gate) << width) | (taken & self._required_bits)
        if self._is_new(key, taken >> width):
            self.configurations += 1
            self._stack.append((gate, taken, state))
        return False

    def _look(self, gate: int, state: int) -> Look:
        gates = self._gates
        at_once = 0
        may = [(0, 0, row[state]) for row in self._free]
        may += [(bit, twins, row[state]) for bit, row, twins in gates.optional[gate]]
        rest = [one for one in may if one[2] not in (NO, state)]
        must = [(bit, twins, row[state]) for bit, row, twins in gates.changers[gate]]
        rest += [one for one in must if one[2] != NO]
        for bit, row, _ in gates.observers[gate]:
            after = row[state]
            if after == state:
                at_once |= bit
            elif after != NO:
                rest.append((bit, 0, after))
        look = self._looks[gate][state] = (at_once, self._overdue(gate, state), rest)
        return look

    def _overdue(self, gate: int, state: int) -> int:
        """Bits of the observers that can no longer be taken, and so must be taken already."""
        awaited = self._gates.awaited[gate]
        if awaited is not None and not self._steps.lead_to(state, awaited):
            return ALL
        bits = 0
        for bit, observed in self._gates.wanted[gate]:
            if not self._steps.lead_to(state, observed):
                bits |= bit
        return bits

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
