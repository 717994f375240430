"""Drawn interleavings: calls on one session whose Redis commands were let through one by one, in a drawn order.

The history has each schedule between two lines `schedule` (begin, end): the session's create, the calls, and a line
`turn` for each command in the order of the server, or for the expiry of the lock where that was a step. Each schedule
is judged by itself. An expiry is nothing but time: what comes behind it is judged as if the lock's time had passed.

A backend without a fence cannot keep a holder that was overtaken from writing, and does not claim to; then only what
happens to the locks is looked at. Where single sessions cannot be read a lane looks at the list instead; how fresh a
list is, `shared-view` judges.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from limpet.checkers import locking, shared_view
from limpet.checkers.exclusion import Story, replay
from limpet.checkers.parts import PartBuilder
from limpet.checkers.redis_commands import commands, reads, write
from limpet.contract import Contract
from limpet.history import Line, Section
from limpet.verdict import Judgement, Part

SCHEDULES = 300
EXPIRY = "expire"  # the `op` of a turn in which the lock expired
PAST_EXPIRY_US = 1_000_000
GONE = -2  # a TTL, of a key that is not there
HARNESS = "limpet"
KINDS = (  # what is wrong; of several in one schedule the first is shown
    "linearizable",
    "made once",
    "no lost update",
    "one holder",
    "only the holder releases",
    "stale holder cannot write",
    "changes under the lock",
    "fence grows",
    "token unique",
    "every lock expires",
    "none leaks",
    "answered",
)

Numbered = tuple[int, Line]


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong in one schedule: one of KINDS, what was expected and seen, and the lines that show it."""

    kind: str
    expected: str
    seen: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """One schedule.

    Attributes:
        text: as `limpet races --schedule` takes it.
        violations: the gravest first.
        doubt: why it says nothing, "" where it does.
        acquired: how often the session's lock was certainly acquired in it.
    """

    text: str
    violations: tuple[Violation, ...]
    doubt: str
    acquired: int


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `locking`, drawn interleavings included."""
    judgement = locking.check(section, contract)
    if contract.redis.lock is None:
        return judgement
    judged = [judge(lines, contract) for lines in schedules(section)]
    evidence = {**judgement.evidence, "schedules": len(judged)}
    return replace(judgement, parts=(*judgement.parts, drawn(section, judged)), evidence=evidence)


def drawn(section: Section, judged: Iterable[Judged]) -> Part:
    """The part of them all; of each kind of violation the simplest schedule is shown."""
    part = PartBuilder(section, "drawn interleavings", "schedules", SCHEDULES)
    part.missing = next((str(line.data.get("why")) for _, line in section.of("schedule", op="unsupported")), "")
    simplest: dict[str, tuple[str, Violation]] = {}
    for one in judged:
        part.had += not one.doubt
        for violation in one.violations[:1]:
            before = simplest.get(violation.kind)
            if before is None or len(one.text) < len(before[0]):
                simplest[violation.kind] = one.text, violation
    for text, violation in simplest.values():
        part.find(
            f"{violation.kind}: {violation.seen}; repeat: limpet races --schedule {shlex.quote(text)}",
            expected=violation.expected,
            lines=violation.lines,
        )
    return part.done()


def schedules(section: Section) -> Iterator[list[Numbered]]:
    """The lines of each schedule that was carried out to its end."""
    begun = 0
    for no, line in section.of("schedule"):
        if line.op == "begin":
            begun = no
        elif line.op == "end" and begun:
            yield list(enumerate(section.lines[begun - 1 : no], begun))
            begun = 0


def numbered(lines: Iterable[Line]) -> list[Numbered]:
    """Lines that are no part of a file, numbered from 1."""
    return list(enumerate(lines, 1))


def judge(lines: Sequence[Numbered], contract: Contract) -> Judged:
    """Judge the lines of one schedule, from its begin to its end."""
    begin, end = lines[0][1], lines[-1][1]
    section = _Excerpt(lines, contract)
    story = replay(list(commands(section)), contract.redis, fresh=True)
    found = [*_found(section, locking.check(section, contract))]
    if contract.redis.fence or not any(hold.overtaken_no for hold in story.holds):
        found += _found(section, shared_view.check(section, contract), "linearizable", "answered")
        found += _lost_updates(section, contract, story)
    found += _made_twice(section, begin)
    found += _left(section, end)
    doubt = str(end.data.get("doubt") or "")
    if story.puzzles:
        no, what = story.puzzles[0]
        doubt = doubt or f"a command on the lock could not be followed, {section.where(no)}: {what}"
    acquired = sum(hold.certain for hold in story.holds)
    found.sort(key=lambda one: KINDS.index(one.kind))
    return Judged(str(end.data.get("text")), tuple(found), doubt, acquired)


class _Excerpt(Section):
    """One schedule as a history of its own, of a stack on which nothing was before but the session."""

    def __init__(self, lines: Sequence[Numbered], contract: Contract) -> None:
        first, begin = lines[0]
        last, end = lines[-1]
        self.session = str(end.data.get("session"))
        put = [(first, Line(begin.t, "begin", "locking")), (first, Line(begin.t, "target", data={"fresh": True}))]
        if contract.redis.session:
            put.append((first, _record(begin, contract.redis.session.format(id=self.session))))
        pods = {line.pod for _, line in lines if line.type == "turn"}
        put += [(first, Line(begin.t, "link", "Gate", data={"pod": pod})) for pod in sorted(pods)]
        put += _as_time_passes(lines, self.session)
        put += [(last, Line(end.t, "trace", data={"lost": ""})), (last, Line(end.t, "end", "locking"))]
        self.numbers = [no for no, _ in put]  # of each line in the whole history
        super().__init__([line for _, line in put], "")

    def own(self, where: str) -> tuple[int, ...]:
        """The numbers that `where` gave."""
        return tuple(int(number) for number in where.split())

    def where(self, *numbers: int) -> str:
        """Numbers in the whole history, parted by blanks."""
        return " ".join(str(self.numbers[number - 1]) for number in numbers)


def _record(begin: Line, key: str) -> Line:
    """The session's record as it was before, of a content that is like nothing else."""
    data = {"args": [key, "(as it was created)"], "outcome": "replied", "reply": "OK", "order": -1, "unit": -1}
    return Line(begin.t, "redis", "SET", pod=HARNESS, data={**data, "at_us": 0, "from": HARNESS})


def _as_time_passes(lines: Sequence[Numbered], session: str) -> Iterator[Numbered]:
    """What concerns the session; commands behind an expiry as much later as the lock had left to live, and more."""
    later_us = 0
    for no, line in lines[1:-1]:
        if line.type == "turn" and line.op == EXPIRY:
            later_us += int(line.data.get("left_ms", 0)) * 1000 + PAST_EXPIRY_US
        elif line.type == "turn":
            data = {**line.data, "at_us": int(line.data.get("at_us", 0)) + later_us}
            yield no, Line(line.t, "redis", line.op, pod=line.pod, data=data)
        elif (line.session in ("", session) or line.op == "create") and line.op != "list":
            yield no, line


def _found(section: _Excerpt, judgement: Judgement, *names: str) -> Iterator[Violation]:
    """The findings of these parts, or of all."""
    for part in judgement.parts:
        for one in part.findings if not part.missing and (not names or part.name in names) else ():
            yield Violation(part.name, one.expected, one.seen, section.own(one.where))


def _made_twice(section: _Excerpt, begin: Line) -> Iterator[Violation]:
    """The same idempotency key is answered with the same session."""
    for op in section.ops("create"):
        made = op.done.session if op.done and op.type == "ok" else ""
        if made not in ("", section.session) and op.call.value == begin.data.get("key"):
            lines = (section.numbers[op.done_no - 1],)
            seen = f"a create with the key of {section.session} was answered with {made}"
            yield Violation("made once", "the same session", seen, lines)


def _left(section: _Excerpt, end: Line) -> Iterator[Violation]:
    left_ms = end.data.get("left_ms", GONE)
    if left_ms != GONE and not end.data.get("doubt"):
        life = "without a time to live" if left_ms < 0 else f"with {left_ms / 1000:.1f} s to live"
        seen = f"the lock of {section.session} was still there, {life}, when every call had been answered"
        yield Violation("none leaks", "released", seen, (section.numbers[-1],))


def _lost_updates(section: _Excerpt, contract: Contract, story: Story) -> Iterator[Violation]:
    """Nobody writes over a change that he has not seen, after he had looked at what was there before it."""
    if contract.redis.session is None:
        return
    key = contract.redis.session.format(id=section.session)
    changes = {change.no: change for change in story.changes if change.session == section.session}
    versions: list[tuple[Any, int]] = []  # who made it, and the line
    seen: dict[Any, int] = {}  # call -> how many versions there were when it looked last
    for command in commands(section):
        call = section.lines[command.no - 1].data.get("call")
        if reads(command, key):
            seen[call] = len(versions)
        change = changes.get(command.no)
        if change is None or change.first:
            continue
        unseen = [no for by, no in versions[seen.get(call, len(versions)) :] if by != call]
        effect = write(command, key)
        if unseen and effect and effect.kind == "set" and not change.compared:
            lines = tuple(section.numbers[no - 1] for no in (*unseen, change.no))
            text = f"{change.pod} wrote over a change of {change.session} that came after it had looked"
            yield Violation("no lost update", "made from what was there", text, lines)
        versions.append((call, change.no))
