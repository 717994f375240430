"""A register with compare-and-set: it sets the new value iff it finds the old one."""

from collections.abc import Hashable

from limpet.models.base import IMPOSSIBLE, Action, Given, answered_no, outcome
from limpet.models.register import Register
from limpet.models.values import freeze, shown


class CompareAndSet(Register):
    """As a register, and `cas` with `[from, to]` in its call."""

    name = "cas"
    ops = ("read", "write", "cas")

    def action(self, call: Given, done: Given | None) -> Action | None:
        """A refused compare-and-set has seen another value than `from`: it is a read of that."""
        if call.op != "cas":
            return super().action(call, done)
        pair = call.value
        if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004  from and to
            raise ValueError(f"the value of a cas is {pair!r}; write [from, to]")
        how = outcome(done)
        if how == "fail" and not answered_no(done):
            return None
        changes = how != "fail" and freeze(pair[0]) != freeze(pair[1])
        return Action("cas", (freeze(pair[0]), freeze(pair[1])), outcome=how, changes=changes)

    def step(self, state: Hashable, action: Action) -> Hashable:
        """One of unknown outcome that finds another value changes nothing, which is as if it had never happened."""
        if action.op != "cas":
            return super().step(state, action)
        assert isinstance(action.argument, tuple)
        old, new = action.argument
        if action.outcome == "fail":
            return IMPOSSIBLE if state == old else state
        return new if state == old else IMPOSSIBLE

    def tell(self, action: Action) -> str:
        """`cas 3 to 4`, `cas 3 to 4, refused`."""
        if action.op != "cas":
            return super().tell(action)
        assert isinstance(action.argument, tuple)
        old, new = action.argument
        return f"cas {shown(old)} to {shown(new)}{', refused' if action.outcome == 'fail' else ''}"
