"""A map of texts: get, put and append. What nobody has put is the empty text."""

from collections.abc import Hashable, Iterable

from limpet.models.base import IMPOSSIBLE, Action, Given, Operation, by_key, outcome
from limpet.models.values import shown


class StringMap:
    """`put` and `append` with the text in the call, `get` with the text in the answer; nil is the empty text."""

    name = "map"
    ops: tuple[str, ...] = ("get", "put", "append")
    initial: Hashable = ""

    def action(self, call: Given, done: Given | None) -> Action | None:
        """A put or append that failed did not happen, a get that did not answer says nothing."""
        how = outcome(done)
        if call.op == "get":
            return Action("get", result=_text(done.value), changes=False) if how == "ok" and done else None
        return None if how == "fail" else Action(call.op, _text(call.value), outcome=how, forgets=call.op == "put")

    def partition(self, operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
        """Keys are independent."""
        return by_key(operations)

    def step(self, state: Hashable, action: Action) -> Hashable:
        """Puts and appends always can be."""
        if action.op == "get":
            return state if action.result == state else IMPOSSIBLE
        assert isinstance(state, str)
        assert isinstance(action.argument, str)
        return action.argument if action.op == "put" else state + action.argument

    def leads_to(self, state: Hashable, observed: Action) -> bool:
        """Without a put a text only grows at its end."""
        assert isinstance(state, str)
        assert isinstance(observed.result, str)
        return observed.result.startswith(state)

    def tell(self, action: Action) -> str:
        """`append "x"`, `get "xy"`."""
        return f"{action.op} {shown(action.result if action.op == 'get' else action.argument)}"

    def tell_state(self, state: Hashable) -> str:
        """Its text."""
        return shown(state)


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text; a map holds texts: write it in quotes")  # noqa: TRY004  a wrong value
    return value
