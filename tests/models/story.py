"""Histories for models: written line by line, drawn at random, or left by objects that are right."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from limpet.models.base import IMPOSSIBLE, NEVER, Given, Model, Operation
from limpet.models.given import Numbered, operations

Call = tuple[str, Any]  # op, value
Answer = tuple[str, Any, dict[str, Any]]  # type, value, data
Objects = dict[Any, list[Operation]]


class Story:
    """A history of one object, written by hand."""

    def __init__(self, key: str = "x") -> None:
        self.key = key
        self.lines: list[Given] = []

    def call(self, process: int, op: str, value: Any = None) -> int:
        return self._add(process, "invoke", op, value)

    def back(self, process: int, op: str, value: Any = None, type_: str = "ok", **data: Any) -> int:
        return self._add(process, type_, op, value, data)

    def does(self, process: int, op: str, value: Any = None, answer: Any = None, type_: str = "ok", **data: Any) -> int:
        """A whole operation; the line of its end."""
        self.call(process, op, value)
        return self.back(process, op, answer, type_, **data)

    def _add(self, process: int, type_: str, op: str, value: Any, data: dict[str, Any] | None = None) -> int:
        session = "" if op == "list" else self.key
        self.lines.append(Given(type_, op, process, session=session, value=value, data=data or {}))
        return len(self.lines)

    def numbered(self) -> list[Numbered]:
        return list(enumerate(self.lines, 1))

    def objects(self, model: Model) -> Objects:
        parts = model.partition(operations(self.numbered(), model, "story"))
        return {key: list(ones) for key, ones in parts.items()}


def explained(operations_: Sequence[Operation], model: Model) -> bool:
    """Whether there is an order: all of them are tried, nothing is remembered and nothing taken at once."""

    def search(left: tuple[Operation, ...], state: Any) -> bool:
        if all(op.end == NEVER for op in left):
            return True
        first_end = min(op.end for op in left)
        for op in left:
            if op.start < first_end:
                after = model.step(state, op.action)
                if after is not IMPOSSIBLE and search(tuple(o for o in left if o is not op), after):
                    return True
        return False

    return search(tuple(operations_), model.initial)


@st.composite
def drawn(draw: st.DrawFn, choices: Sequence[tuple[Call, Answer]], operations_max: int = 6) -> Story:
    """Operations of three processes that overlap at will, with answers at will; some never come back."""
    story = Story()
    under_way: dict[int, tuple[Call, Answer]] = {}
    begun = 0
    for process in draw(st.lists(st.integers(0, 2), min_size=4, max_size=2 * operations_max)):
        if process in under_way:
            (op, _), (type_, value, data) = under_way.pop(process)
            story.back(process, op, value, type_, **data)
        elif begun < operations_max:
            under_way[process] = draw(st.sampled_from(choices))
            story.call(process, *under_way[process][0])
            begun += 1
    return story


def left_by(
    make: Callable[[], Callable[[int, Call], Answer]], calls: Sequence[Call], seed: int, steps: int = 60
) -> Story:
    """What an object that is right leaves: each operation takes effect at a moment of its own between its lines.

    One in ten is given up by its client; it takes effect later or never.
    """
    rnd = random.Random(seed)
    story, answer = Story(), make()
    idle = [0, 1, 2]
    late: list[tuple[int, Call]] = []
    busy: dict[int, tuple[Call, Answer | None]] = {}
    for _ in range(steps):
        process = rnd.choice([*idle, *busy])
        if late and rnd.random() < 1 / 4:
            answer(*late.pop())
        if process in idle:
            busy[process] = rnd.choice(calls), None
            idle.remove(process)
            story.call(process, *busy[process][0])
            continue
        call, answered = busy[process]
        if answered is not None or rnd.random() < 1 / 10:
            del busy[process]
            if answered is not None:
                type_, value, data = answered
                story.back(process, call[0], value, type_, **data)
                idle.append(process)
            else:
                story.back(process, call[0], None, "info")
                idle.append(max(*idle, *busy, process, 2) + 1)
                late += [(process, call)] * rnd.randint(0, 1)
        else:
            busy[process] = call, answer(process, call)
    return story
