"""Histories of watchers: a whole run that is right, and single sessions that are told line by line."""

from dataclasses import dataclass
from typing import Any

from checkers.script import Script

STREAM = "01STREAM"
SESSIONS = 6
LENGTH = 90  # messages of each session's stream, its end included
MIDDLE = LENGTH // 2


@dataclass
class Session:
    """One session. Each watcher is a process; every message is worth a line at once."""

    script: Script
    name: str = "x"
    stream: str = STREAM

    def create(self) -> "Session":
        self.script.op("create", 1, self.name)
        return self

    def connect(
        self,
        who: int,
        after: int | None = None,
        stream: str | None = None,
        *,
        watcher: int | None = None,
        pod: str = "",
    ) -> int:
        asked: dict[str, Any] = {} if after is None else {"after": after}
        asked |= {"stream": stream} if stream else {}
        return self.script.op("connect", who, self.name, {"watcher": watcher or who} | asked, pod=pod or "i-a")

    def told(self, who: int, seq: int | None, *, recovered: Any = True, stream: str | None = None) -> int:
        said = {"stream": self.stream if stream is None else stream, "recovered": recovered}
        return self.script.add("message", "subscribed", who, self.name, seq, **said)

    def joins(self, who: int, seq: int, *, pod: str = "") -> None:
        self.connect(who, pod=pod)
        self.told(who, seq)

    def resumes(self, who: int, after: int, *, pod: str = "") -> None:
        self.connect(who, after, self.stream, pod=pod)
        self.told(who, after)

    def gets(self, who: int, *numbers: int, **data: Any) -> int:
        line = 0
        for seq in numbers:
            said = {"n": seq, "digest": f"{self.name} {seq}", "payload": {"n": seq}} | data
            line = self.script.add("message", "event", who, self.name, seq, **said)
        return line

    def interruption(self, who: int, seq: int) -> None:
        self.script.add(
            "message", "interruption", who, self.name, seq, digest=f"{self.name} {seq}", reason="owner lost"
        )

    def gap(self, who: int, first: Any, last: Any) -> None:
        self.script.add("message", "gap", who, self.name, **{"from": first, "to": last}, reason="no longer kept")

    def ends(self, who: int, seq: int, *, code: int | None = 1000) -> None:
        self.script.add("message", "session_ended", who, self.name, seq, digest=f"{self.name} {seq}", reason="stopped")
        if code is not None:
            self.closed(who, code)

    def closed(self, who: int, code: int = 1000) -> None:
        self.script.add("closed", "", who, self.name, code=code)

    def leaves(self, who: int) -> None:
        self.script.add("closed", "", who, self.name, code=1000, own=True)

    def delete(self) -> None:
        self.script.op("delete", 1, self.name)


class Story:
    """Six sessions: one watcher stays, one leaves and comes back, one joins in the middle, others come after."""

    sessions = SESSIONS
    length = LENGTH
    moves = 6

    def tell(self) -> Script:
        script = Script("continuity")
        script.note("target", "local", replicas=2)
        for number in range(self.sessions):
            self.live(Session(script, f"s{number}", f"01{number}"), 100 * number + 100)
        return script

    def live(self, session: Session, who: int) -> None:
        session.create()
        stays, moves, joins, late = who, who + 1, who + 2, who + 3
        session.joins(stays, 0, pod="i-a")
        session.joins(moves, 0, pod="i-b")
        for seq in range(1, self.length):
            if seq == MIDDLE:
                session.joins(joins, seq - 1, pod="i-b")
            for watcher in (stays, moves, *([joins] if seq >= MIDDLE else [])):
                session.gets(watcher, seq)
            if seq % (self.length // self.moves) == 0:
                session.leaves(moves)
                session.resumes(moves, seq, pod="i-" + "ab"[seq // 15 % 2])
        session.delete()
        for watcher in (stays, moves, joins):
            session.ends(watcher, self.length)
        self.afterwards(session, late)

    def afterwards(self, session: Session, who: int) -> None:
        """Once the end is there: the end alone, the rest, nothing that is left, all of it for who cannot go on."""
        session.joins(who, self.length - 1)
        session.ends(who, self.length)
        session.resumes(who + 1, self.length - 5)
        session.gets(who + 1, *range(self.length - 4, self.length))
        session.ends(who + 1, self.length)
        session.resumes(who + 2, self.length)
        session.closed(who + 2)
        session.connect(who + 3, 10**6, session.stream)
        session.told(who + 3, 0, recovered=False)
        session.gets(who + 3, *range(1, self.length))
        session.ends(who + 3, self.length)


def beside(tell: Any, *, fault: bool = False) -> Script:
    """A whole run, and beside it one session told by hand; with a `fault`, things may have been lost."""
    script = Story().tell()
    if fault:
        for phase in ("inject", "effect", "heal", "recovered"):
            script.note("fault", phase, fault="Redis restart")
    tell(Session(script).create())
    return script
