"""Histories of watchers through faults: sessions that count on a clock, ten times a second, and who follows them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from checkers.delivery_story import Session, Story
from checkers.script import Script

from limpet.checkers.endurance import FAULTS, PAUSED, SESSIONS, WATCHERS

TICK_S = 0.1
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def moment(now_s: float) -> str:
    """A time as messages have it."""
    return (BEGIN + timedelta(seconds=now_s)).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Counted:
    """One session and its watchers; `n` goes on whether anybody observes it or not."""

    def __init__(self, script: Script, name: str, watchers: list[int]) -> None:
        self.session = Session(script, name, f"01{name}").create()
        self.watchers = watchers
        self.n = self.seq = 0
        self.observed = True
        self.kept: list[dict[str, Any]] = []
        self.last_s = 0.0
        for who in watchers:
            self.session.joins(who, 0, pod="i-" + "ab"[who % 2])

    def tick(self) -> None:
        """An event falls due."""
        self.n += 1
        if not self.observed:
            return
        self.seq += 1
        self.last_s = self.session.script.now_s
        self.kept.append({"type": "event", "seq": self.seq, "data": {"n": self.n}})
        for who in self.watchers:
            self.session.gets(who, self.seq, n=self.n, payload={"n": self.n})

    def announce(self, *, since_s: float | None = None, until_s: float | None = None) -> None:
        """Somebody observes it again, and says what was not observed."""
        now_s = self.session.script.now_s
        times = [moment(at if at is not None else other) for at, other in ((since_s, self.last_s), (until_s, now_s))]
        self.observed = True
        self.seq += 1
        self.kept.append({"type": "interruption", "seq": self.seq})
        for who in self.watchers:
            self.session.script.add(
                "message", "interruption", who, self.session.name, self.seq, since=times[0], until=times[1]
            )

    def end(self) -> None:
        """Delete it; everybody gets the end."""
        self.session.delete()
        self.seq += 1
        for who in self.watchers:
            self.session.ends(who, self.seq)


class Endurance:
    """Every fault once, a kill in the middle of the pause; five sessions are orphaned by a kill, seven by the pause."""

    sessions = SESSIONS
    watchers = WATCHERS
    faults: tuple[str, ...] = tuple(FAULTS)
    ticks = 10
    orphans = 5
    silent_ticks = 40

    def tell(self) -> Script:
        script = Story().tell()
        self.endure(script)
        return script

    def endure(self, script: Script) -> Script:
        self.script = script
        who = 10_000
        count = self.watchers
        self.cast = [
            Counted(script, f"e{number}", list(range(who + 10 * number, who + 10 * number + self.of(number, count))))
            for number in range(self.sessions)
        ]
        self.pass_(self.ticks)
        for fault in self.faults:
            self.strike(fault)
            self.after(fault)
        for one in self.cast:
            one.end()
        self.replay()
        return script

    def of(self, number: int, count: int) -> int:
        """How many watchers a session has."""
        return count // self.sessions + (number < count % self.sessions)

    def pass_(self, ticks: int) -> None:
        for _ in range(ticks):
            began_s = self.script.now_s
            for one in self.cast:
                one.tick()
            self.script.wait(max(0.0, TICK_S - (self.script.now_s - began_s)))

    def strike(self, fault: str) -> None:
        self.note(fault, "inject")
        if fault == PAUSED:
            self.lose(self.cast[-7:], self.silent_ticks)
        elif fault == "pod kill":
            self.lose(self.cast[: self.orphans], 3)
        self.move()
        self.note(fault, "effect")
        self.note(fault, "heal")
        self.note(fault, "recovered")

    def after(self, _fault: str) -> None:
        self.pass_(self.ticks)

    def lose(self, orphans: list[Counted], ticks: int) -> None:
        """Nobody observes these for so long; in the middle of a pause another replica is killed."""
        for one in orphans:
            one.observed = False
        self.pass_(ticks // 2)
        if ticks == self.silent_ticks:
            self.beside()
        self.pass_(ticks - ticks // 2)
        for one in orphans:
            one.announce()

    def beside(self) -> None:
        for phase in ("inject", "effect", "heal", "recovered"):
            self.note("pod kill", phase)

    def move(self) -> None:
        """The first watcher of the first session is cut off and comes back."""
        one = self.cast[0]
        if one.watchers:
            one.session.closed(one.watchers[0], 1012)
            one.session.resumes(one.watchers[0], one.seq)

    def note(self, fault: str, phase: str, **data: Any) -> None:
        self.script.note("fault", phase, fault=fault, **data)

    def replay(self) -> None:
        for one in self.cast:
            self.script.op("replay", 1, one.session.name, one.kept)
