"""Histories of what pods do in Redis, written by hand, as a trace would have them."""

from dataclasses import replace
from typing import Any

from checkers.script import Script

from limpet.checkers.locking import PAUSED
from limpet.contract import Contract
from limpet.history import Section

START_US = 1_800_000_000_000_000
A, B = "backend-1", "backend-2"
TTL_MS = "10000"
ONE, RELEASES, EXPIRES, TOKENS = "one holder", "only the holder releases", "every lock expires", "token unique"
FENCES, STALE, UNLOCKED, LEAKS = "fence grows", "stale holder cannot write", "changes under the lock", "none leaks"


class RedisStory(Script):
    """A history under construction, of a fresh stack. Each command takes a millisecond."""

    def __init__(self, *, fresh: bool = True, links: bool = True) -> None:
        super().__init__("locking")
        self.note("target", "local", replicas=2, fresh=fresh)
        self._order = 0
        self._links = links
        self._fences: dict[str, int] = {}

    def do(
        self, pod: str, command: str, *, reply: Any = "OK", unit: int = 0, outcome: str = "replied", **more: Any
    ) -> int:
        """One command, its words parted by blanks; the number of its line. `reply` None is nil."""
        self._order += 1
        name, *args = command.split()
        data: dict[str, Any] = {
            "from": f"{pod}:5000",
            "args": args,
            "order": self._order,
            "unit": unit or self._order,
            "at_us": START_US + (self._t + 1) // 1000,
        }
        known: dict[str, Any] = (
            {"reply": reply, "outcome": outcome} if self._links or outcome == "called" else {"outcome": "unknown"}
        )
        return self.add("redis", name, pod=pod, **(data | known | more))

    def script(self, pod: str, head: str, *calls: str, reply: Any = 1) -> int:
        """A script and what it calls; the number of the last line."""
        no = self.do(pod, f"EVALSHA {head}", reply=reply)
        unit = self._order
        for call in calls:
            no = self.do(pod, call, unit=unit, outcome="called", script=unit)
        return no

    def transaction(self, pod: str, *commands: tuple[str, Any]) -> None:
        """MULTI, these with their replies, EXEC."""
        self.do(pod, "MULTI")
        unit = self._order
        for command, reply in commands:
            self.do(pod, command, reply=reply, unit=unit, multi=True)
        self.do(pod, "EXEC", reply=[reply for _, reply in commands], unit=unit)

    def acquire(self, pod: str, session: str, token: str, *, granted: bool = True) -> int:
        """By a script that takes a fence with the lock."""
        calls = [f"SET lock:session:{session} {token} NX PX {TTL_MS}"]
        if granted:
            self._fences[session] = self._fences.get(session, 0) + 1
            calls.append(f"SET fence:session:{session} {self._fences[session]} PX 100000")
        else:
            calls.append(f"PTTL lock:session:{session}")
        head = f"a1 2 lock:session:{session} fence:session:{session} {token} {TTL_MS}"
        return self.script(pod, head, *calls, reply=[1, "1"] if granted else [0, 900])

    def commit(self, pod: str, session: str, token: str, value: str, *, done: bool = True) -> int:
        """By a script that does it if the lock is the token's."""
        calls = [f"GET lock:session:{session}"] + [f"SET session:{session} {value}"] * done
        head = f"c1 2 lock:session:{session} session:{session} {token} {value}"
        return self.script(pod, head, *calls, reply="ok" if done else "lost")

    def release(self, pod: str, session: str, token: str, *, done: bool = True) -> int:
        """By a script that compares."""
        calls = [f"GET lock:session:{session}"] + [f"DEL lock:session:{session}"] * done
        return self.script(pod, f"r1 1 lock:session:{session} {token}", *calls, reply=int(done))

    def section_of(self, pod: str, session: str, token: str, value: str, *, rival: str = "") -> None:
        """A whole critical section, in which a rival asks for the lock."""
        self.acquire(pod, session, token)
        if rival:
            self.acquire(rival, session, f"{token}-rival", granted=False)
        self.commit(pod, session, token, value)
        self.release(pod, session, token)

    def enough(self, sections: int = 200) -> "RedisStory":
        """As many quiet sections as it takes, a quarter of them contended."""
        for number in range(sections):
            session, (pod, other) = f"quiet-{number // 4}", ((A, B), (B, A))[number % 2]
            self.section_of(pod, session, f"quiet-token-{number}", f"v{number}", rival=other if number % 4 == 0 else "")
        return self

    def overtaken(self, session: str = "s") -> "RedisStory":
        """A is held up until its lock has expired and B has it; then A goes on, is refused, and B finishes."""
        self.hold_up(session)
        self.commit(A, session, "token-of-a", "stale", done=False)
        self.release(A, session, "token-of-a", done=False)
        self.commit(B, session, "token-of-b", "new")
        self.release(B, session, "token-of-b")
        return self

    def hold_up(self, session: str = "s") -> None:
        """The first half of that: B holds the lock, and A believes that it does."""
        self.section_of(B, session, "token-of-b-0", "first")
        self.note("link", "Hold", pod=A)
        self.acquire(A, session, "token-of-a")
        self.wait(10.2)
        self.acquire(B, session, "token-of-b")
        self.note("link", "pass", pod=A)

    def line(self, name: str, key: str, *, pod: str) -> int:
        """The last line on which this pod did that to this key."""
        return max(
            no
            for no, line in enumerate(self._lines, 1)
            if (line.op, line.pod) == (name, pod) and line.data["args"][:1] == [key]
        )

    def pause(self, phase: str, **why: str) -> None:
        """The fault that stops a holder: how it ended."""
        for step in ("inject", phase, "heal", "recovered"):
            self.note("fault", step, fault=PAUSED, **(why if step == phase else {}))

    def judged(self, **trace: Any) -> Section:
        """The end: no lock is left, and the trace is whole."""
        self.op("locks", value=trace.pop("left", {}))
        counts: dict[str, Any] = {"lost": "", "links": self._links} | trace
        self.note("trace", **counts)
        return self.section()


def story(**how: bool) -> RedisStory:
    """Enough of everything."""
    return RedisStory(**how).enough().overtaken()


def simple(pod: str, session: str, token: str, *between: str) -> RedisStory:
    """The beginning of a section of plain commands, after enough has happened."""
    one = story()
    one.do(pod, f"SET lock:session:{session} {token} NX PX {TTL_MS}")
    for command in between:
        one.do(pod, command, reply=1)
    return one


def unfenced(contract: Contract) -> Contract:
    """The same contract without fences."""
    return replace(contract, redis=replace(contract.redis, fence=None))
