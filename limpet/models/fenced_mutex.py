"""A lock with a fence: each acquisition is given a larger number than all before it."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import inf

from limpet.models.base import IMPOSSIBLE, Action, Given, Operation, by_key, outcome


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fenced lock.

    Attributes:
        holder: the process; None while it is free.
        fence: the last one handed out. After an acquisition whose fence nobody knows, the least that it can have been:
            a larger one would only forbid more.
        known: whether it was exactly that.
    """

    holder: Hashable
    fence: float
    known: bool


class FencedMutex:
    """`acquire` with the fence in its answer; `release`, with the fence in its call or without."""

    name = "fenced-mutex"
    ops: tuple[str, ...] = ("acquire", "release")
    initial: Hashable = None

    def action(self, call: Given, done: Given | None) -> Action | None:
        """A refusal says nothing."""
        how = outcome(done)
        if how == "fail":
            return None
        given = done.value if call.op == "acquire" and done is not None else call.value
        if type(given) is not int and (given is not None or (call.op == "acquire" and how == "ok")):
            raise ValueError(f"the fence is {given!r}; write a whole number as the value of the acquire's ok")
        return Action(call.op, given, outcome=how, by=call.process)

    def partition(self, operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
        """Every key is a lock."""
        return by_key(operations)

    def step(self, state: Hashable, action: Action) -> Hashable:
        """The state is None before the first acquisition, then a Fenced."""
        last = state if isinstance(state, Fenced) else None
        if action.op == "acquire":
            return _acquired(last, action)
        if last is None or last.holder is None or not _held(last, action):
            return IMPOSSIBLE
        if isinstance(action.argument, int):
            return Fenced(None, action.argument, known=True)
        return Fenced(None, last.fence, last.known)

    def tell(self, action: Action) -> str:
        """`acquire by 3 with fence 7`."""
        return f"{action.op} by {action.by}" + ("" if action.argument is None else f" with fence {action.argument}")

    def tell_state(self, state: Hashable) -> str:
        """`held by 3 with fence 7`, `free after fence 7`."""
        if not isinstance(state, Fenced):
            return "free"
        fence = f"fence {state.fence}" if state.known else f"a fence of {state.fence} or more"
        return f"free after {fence}" if state.holder is None else f"held by {state.holder} with {fence}"


def _acquired(last: Fenced | None, action: Action) -> Hashable:
    fence = action.argument
    if last is not None and last.holder is not None:
        return IMPOSSIBLE
    if not isinstance(fence, int):
        return Fenced(action.by, last.fence + 1 if last else -inf, known=False)
    if last is not None and fence <= last.fence:
        return IMPOSSIBLE
    return Fenced(action.by, fence, known=True)


def _held(lock: Fenced, action: Action) -> bool:
    """By fence where the release names one, else by process."""
    if isinstance(action.argument, int):
        return action.argument == lock.fence if lock.known else action.argument >= lock.fence
    return lock.holder == action.by
