"""Histories written by hand: one call an operation, in the order of their lines."""

from typing import Any

from limpet.history import Line, Section

MS = 1_000_000


class Script:
    """A history under construction. Time moves on by one millisecond a line; `wait` moves it further."""

    def __init__(self, guarantee: str) -> None:
        self._guarantee = guarantee
        self._lines = [Line(0, "begin", guarantee)]
        self._t = 0

    @property
    def now_s(self) -> float:
        """The moment of the last line."""
        return self._t / (1000 * MS)

    def wait(self, seconds: float) -> None:
        self._t += int(seconds * 1000) * MS

    def add(
        self, type_: str, op: str = "", process: int = -1, session: str = "", value: Any = None, **data: Any
    ) -> int:
        pod = data.pop("pod", "")
        self._t += MS
        self._lines.append(Line(self._t, type_, op, process, session, value, pod, data))
        return len(self._lines)

    def op(
        self, op: str, process: int = 1, session: str = "", value: Any = None, *, type_: str = "ok", **data: Any
    ) -> int:
        """A whole operation; the number of its last line."""
        self.add("invoke", op, process, "" if op == "create" else session, value)
        return self.add(type_, op, process, session, value, **data)

    def note(self, type_: str, op: str = "", **data: Any) -> int:
        self._t += MS
        self._lines.append(Line(self._t, type_, op, data=data))
        return len(self._lines)

    def section(self) -> Section:
        end = Line(self._t + MS, "end", self._guarantee, data={"lines": len(self._lines) - 1})
        return Section([*self._lines, end], f"history-{self._guarantee}.jsonl")


def pod(name: str, *, phase: str = "ready", listed: bool | None = None, restarts: int = 0) -> dict[str, Any]:
    """A pod as a line `pods` has it; its instance is named after it."""
    in_ingress = phase == "ready" if listed is None else listed
    return {"name": name, "phase": phase, "listed": in_ingress, "restarts": restarts, "instance": f"i-{name}"}
