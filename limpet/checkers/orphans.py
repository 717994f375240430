"""What became of the sessions of replicas that were killed: their owners, and when each watcher heard of them again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from limpet.checkers.connections import Leg
from limpet.history import Line, Op, Section, seconds_between

SIGMAS = 2.78  # the quantile of a normal distribution above which a share of 0.0027 lies: 3 sigma, both ways

Numbered = tuple[int, Line]


@dataclass(frozen=True, slots=True)
class Killed:
    """One owner that was killed.

    Attributes:
        instance: who it was.
        sessions: what it owned, without `doomed`, which were deleted in the same moment.
        survivors: the replicas that could take its sessions.
        began: the line from which it was about to be killed.
        died: the line by which its process had ended, or that says it was to.
        until: the line up to which nobody else was killed.
        after: the look at the owners when all was over, None where there is none.
    """

    instance: str
    sessions: tuple[str, ...]
    doomed: tuple[str, ...]
    survivors: tuple[str, ...]
    began: int
    died: Numbered
    until: int
    after: Op | None

    def owners(self, session: str) -> list[str]:
        """Who owned a session afterwards."""
        owned: Mapping[str, Sequence[str]] = self.after.done.value if self.after and self.after.done else {}
        return [instance for instance, ids in owned.items() if session in ids]

    @property
    def shares(self) -> Counter[str]:
        """How many of its sessions each survivor has now."""
        taken = Counter(owner for session in self.sessions for owner in self.owners(session))
        return Counter({instance: taken[instance] for instance in self.survivors})


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a watcher waited for the next event of an orphan; `line` None: until `Killed.until` it got none.

    `outside_s` of that it was not let in anywhere: that is the ingress's time, which has to learn who is gone.
    """

    session: str
    waited_s: float
    outside_s: float
    line: Numbered | None
    reconnected: bool


def killed(section: Section) -> list[Killed]:
    """All of them, in their order."""
    marks = list(section.of("orphaned"))
    ends = [*(no for no, _ in marks[1:]), len(section.lines)]
    looks = [op for op in section.ops("owners") if op.type == "ok" and op.data.get("step") == "after"]
    found = []
    for (no, line), until in zip(marks, ends, strict=False):
        doomed = tuple(line.data.get("doomed", ()))
        found.append(
            Killed(
                instance=line.op,
                sessions=tuple(one for one in line.data.get("sessions", ()) if one not in doomed),
                doomed=doomed,
                survivors=tuple(line.data.get("survivors", ())),
                began=no,
                died=_death(section, no, until, str(line.data.get("pod"))),
                until=until,
                after=next((op for op in looks if no < op.call_no < until), None),
            )
        )
    return found


def waits(one: Killed, by_session: Mapping[str, Sequence[Leg]]) -> list[Wait]:
    """How long each watcher of its sessions waited for the next event that came from the new owner."""
    found = []
    for session in one.sessions:
        legs = [leg for leg in by_session.get(session, ()) if leg.opened[0] < one.until]
        cut = _cut(one, legs)
        for watcher in sorted({leg.watcher for leg in legs if leg.opened[0] < one.died[0]}):
            own = [leg for leg in legs if leg.watcher == watcher]
            first = min(
                (
                    (no, line, leg.opened[1])
                    for leg in own
                    for seq, no, line in leg.numbered
                    if line.op == "event" and seq > cut and one.died[0] < no < one.until
                ),
                key=lambda event: event[0],
                default=None,
            )
            cut_off = any(leg.code is not None and one.began < leg.closed[0] < one.until for leg in own if leg.closed)
            waited_s = seconds_between(one.died[1], first[1]) if first else 0.0
            outside_s = max(0.0, seconds_between(one.died[1], first[2])) if first else 0.0
            found.append(Wait(session, waited_s, outside_s, first[:2] if first else None, cut_off))
    return found


def announcements(one: Killed, legs: Sequence[Leg]) -> list[Numbered]:
    """The interruptions of a session since its owner died, each once."""
    told: dict[int, Numbered] = {}
    for leg in legs:
        for seq, no, line in leg.numbered:
            if line.op == "interruption" and one.began < no < one.until:
                told.setdefault(seq, (no, line))
    return [told[seq] for seq in sorted(told)]


def uneven(rounds: Sequence[Killed]) -> bool:
    """Whether shares differ by more than chance explains that gives each survivor the same: Pearson's chi-squared.

    Its quantile after Wilson and Hilferty (1931).
    """
    square, free = 0.0, 0
    for one in rounds:
        even = sum(one.shares.values()) / max(1, len(one.survivors))
        if even and len(one.survivors) > 1:
            square += sum((count - even) ** 2 / even for count in one.shares.values())
            free += len(one.survivors) - 1
    if not free:
        return False
    spread = 2 / (9 * free)
    return square > free * (1 - spread + SIGMAS * sqrt(spread)) ** 3


def _cut(one: Killed, legs: Sequence[Leg]) -> int:
    """The number up to which all was the former owner's: the announcement, or what anybody had when it died."""
    told = announcements(one, legs)
    if told and isinstance(told[0][1].value, int):
        return told[0][1].value
    return max((seq for leg in legs for seq, no, _ in leg.numbered if no < one.died[0]), default=0)


def _death(section: Section, no: int, until: int, pod: str) -> Numbered:
    for other, line in section.of("pod", op="exited"):
        if no < other < until and line.data.get("name") == pod:
            return other, line
    struck = next(((other, line) for other, line in section.of("fault", op="inject") if no < other < until), None)
    return struck or (no, section.lines[no - 1])
