"""A register: a read gives what was written last, nil before the first write."""

from collections.abc import Hashable, Iterable

from limpet.models.base import IMPOSSIBLE, Action, Given, Operation, by_key, outcome
from limpet.models.values import freeze, shown


class Register:
    """`write` with the value in its call; `read` with the value in its answer."""

    name = "register"
    ops: tuple[str, ...] = ("read", "write")
    initial: Hashable = None

    def action(self, call: Given, done: Given | None) -> Action | None:
        """A write that failed did not happen, a read that did not answer says nothing."""
        how = outcome(done)
        if call.op == "write":
            return None if how == "fail" else Action("write", freeze(call.value), outcome=how)
        if how != "ok" or done is None:
            return None
        return Action("read", result=freeze(done.value), changes=False)

    def partition(self, operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
        """Every key is a register."""
        return by_key(operations)

    def step(self, state: Hashable, action: Action) -> Hashable:
        """A write always can be."""
        if action.op == "write":
            return action.argument
        return state if action.result == state else IMPOSSIBLE

    def tell(self, action: Action) -> str:
        """`write 3`, `read 3`."""
        return f"{action.op} {shown(action.argument if action.op == 'write' else action.result)}"

    def tell_state(self, state: Hashable) -> str:
        """Its value."""
        return shown(state)
