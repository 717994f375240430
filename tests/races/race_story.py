"""Schedules that were played, written by hand: what replicas asked Redis, turn by turn, and what clients were told."""

from collections.abc import Sequence
from typing import Any

from checkers.redis_story import A, B, RedisStory

from limpet.checkers.interleavings import EXPIRY, GONE, Judged, judge, numbered
from limpet.contract import Contract
from limpet.history import Line

KEY = "key-of-s"
CALL = {A: 0, B: 1, "backend-3": 0}


class RaceStory(RedisStory):
    """One schedule on the session `s`, which has just been made."""

    def __init__(self, *calls: tuple[str, str]) -> None:
        super().__init__()
        self._lines = []
        self._lane = ""
        self.note("schedule", "begin", key=KEY, calls=calls, pods={"A": A, "B": B})
        self.op("create", 9, "s", {"id": "s"}, key=KEY)

    def op(
        self, op: str, process: int = 1, session: str = "", value: Any = None, *, type_: str = "ok", **data: Any
    ) -> int:
        """A whole operation; of a create the key is what was asked."""
        asked = data.pop("key", None) if op == "create" else value
        self.add("invoke", op, process, "" if op == "create" else session, asked)
        done = value if op in ("create", "read") else asked
        self._lines.append(Line(self._t, type_, op, process, session, done, data=data))
        return len(self._lines)

    def add(
        self, type_: str, op: str = "", process: int = -1, session: str = "", value: Any = None, **data: Any
    ) -> int:
        if type_ == "redis":
            data |= {"step": 0, "lane": "AB"[CALL[data["pod"]]], "call": CALL[data["pod"]]}
        return super().add("turn" if type_ == "redis" else type_, op, process, session, value, **data)

    def expires(self, left_s: float = 9.9) -> int:
        """The session's lock expires, which had so long to live."""
        return self.note("turn", EXPIRY, step=0, left_ms=int(left_s * 1000))

    def update(self, process: int, token: str, **how: Any) -> int:
        return self.op("update", process, "s", {"limpet": token}, **how)

    def read(self, token: str | None, process: int = 5) -> int:
        """The session with this content, or its absence."""
        return self.op("read", process, "s", token and {"id": "s", "labels": {"limpet": token}})

    def lines(self, *, left_ms: int = GONE, doubt: str = "") -> Sequence[Line]:
        """From begin to end."""
        self.note("schedule", "end", text="A:update B:update", session="s", left_ms=left_ms, doubt=doubt)
        return self._lines

    def judge(self, contract: Contract, **end: Any) -> Judged:
        return judge(numbered(self.lines(**end)), contract)


def kinds(judged: Judged) -> list[str]:
    return [violation.kind for violation in judged.violations]
