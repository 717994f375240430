"""A lock: held by one at a time, released by who holds it."""

from collections.abc import Hashable, Iterable

from limpet.models.base import IMPOSSIBLE, Action, Given, Operation, by_key, outcome
from limpet.models.values import freeze, shown


class Mutex:
    """`acquire` and `release`. A token in the call, or in the answer of the acquire, tells who holds; else the process.

    Locks that expire by themselves are no such objects: see `exclusion` and `locking`.
    """

    name = "mutex"
    ops: tuple[str, ...] = ("acquire", "release")
    initial: Hashable = None

    def action(self, call: Given, done: Given | None) -> Action | None:
        """A lock may be refused for many reasons, so a refusal says nothing."""
        how = outcome(done)
        if how == "fail":
            return None
        answered = done.value if done is not None and call.op == "acquire" else None
        token = call.value if answered is None else answered
        return Action(call.op, freeze(token), outcome=how, by=call.process)

    def partition(self, operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
        """Every key is a lock."""
        return by_key(operations)

    def step(self, state: Hashable, action: Action) -> Hashable:
        """The state is None, or the process and the token that hold it."""
        if action.op == "acquire":
            return (action.by, action.argument) if state is None else IMPOSSIBLE
        return None if isinstance(state, tuple) and self._holds(state, action) else IMPOSSIBLE

    def tell(self, action: Action) -> str:
        """`acquire by 3`, `release of "a" by 3`."""
        token = "" if action.argument is None else f" of {shown(action.argument)}"
        return f"{action.op}{token} by {action.by}"

    def tell_state(self, state: Hashable) -> str:
        """`free`, `held by 3`."""
        if not isinstance(state, tuple):
            return "free"
        process, token = state
        return f"held by {process}" + ("" if token is None else f" with {shown(token)}")

    @staticmethod
    def _holds(state: tuple[Hashable, Hashable], action: Action) -> bool:
        """By token where both have one, else by process."""
        process, token = state
        if token is not None and action.argument is not None:
            return token == action.argument
        return process == action.by
