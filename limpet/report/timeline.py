"""What happened when, computed from the lines of one history: pods, sections, operations and faults over time.

A history can have some 100,000 lines; a timeline has a bounded number of pieces, however long the run was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from limpet.clock import NS_PER_S
from limpet.history import COMPLETIONS, Line

BUCKETS = 120
LANES_MAX = 40
BANDS_MAX = 60
STRIKES_MAX = 60
_STRETCHES_MAX = 400  # of one pod


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted: a section, a round of it, or one phase of a pod. Seconds from the first line."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One pod.

    Attributes:
        stretches: its phases, one after the other; nothing is there while it had no process.
        starts_s: when it was started again in place.
    """

    pod: str
    stretches: tuple[Span, ...]
    starts_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a fault: `inject`, `effect`, `heal`, `recovered`, or that one of them did not come."""

    phase: str
    at_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault from its injection to the last that was heard of it."""

    fault: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A history as a picture needs it.

    Attributes:
        operations: completions in each bucket as (ok, fail, info); what never came back counts at its call.
        lanes_left_off: how many pods are beyond `LANES_MAX`.
    """

    duration_s: float
    bands: tuple[Span, ...]
    lanes: tuple[Lane, ...]
    operations: tuple[tuple[int, int, int], ...]
    strikes: tuple[Strike, ...]
    lanes_left_off: int


@dataclass(slots=True)
class _Pod:
    stretches: list[Span] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    restarts: int = 0
    phase: str = ""
    since_s: float = 0.0

    def turn(self, phase: str, at_s: float) -> None:
        """From now on it is in this phase; "" and "exited" are no phase of a process."""
        if phase == self.phase:
            return
        if self.phase not in ("", "exited") and len(self.stretches) < _STRETCHES_MAX:
            self.stretches.append(Span(self.phase, self.since_s, at_s))
        self.phase, self.since_s = phase, at_s


def timeline(lines: Sequence[Line]) -> Timeline:
    """The timeline of a history's lines. Lines that say less than they could are drawn as far as they go."""
    start_ns = min(line.t for line in lines)
    duration_s = (max(line.t for line in lines) - start_ns) / NS_PER_S
    timed = [
        (line, (line.t - start_ns) / NS_PER_S)
        for line in lines
        if line.type in ("begin", "end", "round", "pod", "pods", "fault")
    ]
    pods = _pods(timed, duration_s)
    lanes = tuple(Lane(name, tuple(pod.stretches), tuple(pod.starts_s)) for name, pod in pods.items())
    return Timeline(
        duration_s,
        tuple(_bands(timed, duration_s))[:BANDS_MAX],
        lanes[:LANES_MAX],
        _operations(lines, start_ns, duration_s),
        tuple(_strikes(timed))[:STRIKES_MAX],
        max(0, len(lanes) - LANES_MAX),
    )


def _pods(timed: Sequence[tuple[Line, float]], duration_s: float) -> dict[str, _Pod]:
    pods: dict[str, _Pod] = {}
    for line, at_s in timed:
        if line.type == "pod":
            _see(pods, line.data, at_s)
        elif line.type == "pods":
            seen = line.data.get("pods")
            there = [data for data in seen if isinstance(data, dict)] if isinstance(seen, list) else []
            for data in there:
                _see(pods, data, at_s)
            for name in pods.keys() - {str(data.get("name")) for data in there}:
                pods[name].turn("", at_s)
    for pod in pods.values():
        pod.turn("", duration_s)
    return pods


def _see(pods: dict[str, _Pod], data: dict[str, Any], at_s: float) -> None:
    pod = pods.setdefault(str(data.get("name", "?")), _Pod())
    pod.turn(str(data.get("phase", pod.phase)), at_s)
    restarts = data.get("restarts")
    if isinstance(restarts, int) and restarts > pod.restarts:
        pod.restarts = restarts
        if len(pod.starts_s) < _STRETCHES_MAX:
            pod.starts_s.append(at_s)


def _bands(timed: Sequence[tuple[Line, float]], duration_s: float) -> Iterator[Span]:
    """Rounds where a section has them, else the section itself."""
    section: tuple[str, float] | None = None
    part: tuple[str, float] | None = None
    for line, at_s in [*timed, (Line(0, "end"), duration_s)]:
        if line.type == "begin":
            section = (line.op, at_s)
        elif line.type == "round":
            if section and at_s > section[1] and part is None:
                yield Span(section[0], section[1], at_s)
            elif part:
                yield Span(*part, at_s)
            part = (line.op, at_s)
        elif line.type == "end":
            if last := part or section:
                yield Span(*last, at_s)
            section = part = None


def _operations(lines: Sequence[Line], start_ns: int, duration_s: float) -> tuple[tuple[int, int, int], ...]:
    counts = [[0, 0, 0] for _ in range(BUCKETS)]
    bucket_ns = max(1.0, duration_s * NS_PER_S / BUCKETS)
    waiting: dict[int, int] = {}

    def count(t: int, kind: int) -> None:
        counts[min(BUCKETS - 1, int((t - start_ns) / bucket_ns))][kind] += 1

    for line in lines:
        if line.type == "invoke":
            waiting[line.process] = line.t
        elif line.type in COMPLETIONS:
            waiting.pop(line.process, None)
            count(line.t, COMPLETIONS.index(line.type))
    for t in waiting.values():
        count(t, COMPLETIONS.index("info"))
    return tuple((ok, fail, info) for ok, fail, info in counts)


def _strikes(timed: Sequence[tuple[Line, float]]) -> Iterator[Strike]:
    steps: dict[str, list[Step]] = {}
    order: list[tuple[str, list[Step]]] = []
    for line, at_s in timed:
        if line.type != "fault":
            continue
        name = str(line.data.get("fault", "?"))
        if line.op == "inject" or name not in steps:
            steps[name] = []
            order.append((name, steps[name]))
        steps[name].append(Step(line.op, at_s, str(line.data.get("why", ""))))
    return (Strike(name, tuple(taken)) for name, taken in order)
