"""A model's states by number, and its steps between them, each asked of the model once."""

from collections.abc import Callable, Hashable
from sys import getsizeof
from typing import Final

from limpet.models.base import IMPOSSIBLE, Action, Foreseeing, Model

NO: Final = -1  # in place of a state: the step is impossible
STATE_BYTES: Final = 300  # measured: what a state takes beside its own size, with the steps to and from it


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
        self._leads_to = model.leads_to if isinstance(model, Foreseeing) else None
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

    @property
    def foresees(self) -> bool:
        """Whether the model tells what can still come of a state."""
        return self._leads_to is not None

    def lead_to(self, state: int, observed: Action) -> bool:
        """Whether `observed` may still come, while nothing forgets the state."""
        return self._leads_to is None or self._leads_to(self.states[state], observed)

    def _after(self, state: int, action: Action) -> int:
        after = self._step(self.states[state], action)
        if after is IMPOSSIBLE:
            return NO
        number = self._numbers.setdefault(after, len(self.states))
        if number == len(self.states):
            self.states.append(after)
            self.size_bytes += getsizeof(after) + STATE_BYTES
        return number
