"""`heartbeat`: each live replica beats at once and then every interval +-20 %; a dead one disappears within the TTL.

Moments are those of the Redis server, asked in the same transaction as the keys. A beat is seen as a new value or as a
time to live that grew; it happened after the look before, so an interval is known up to the distance of two looks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from limpet.checkers.parts import PartBuilder, pods_of
from limpet.checkers.recovery import outcome
from limpet.contract import Contract
from limpet.history import Line, Op, Section, seconds_between
from limpet.verdict import Judgement, Part

BEATS = 6
TOLERANCE = 0.2
EARLY_S = 1.0  # from being ready to the first beat: "at once", on a busy machine
SLACK_S = 1.0  # beyond the TTL: Redis expires lazily, and looks have a distance
VALUE_OFF_S = 2.0  # a whole second is cut off, and the write takes its time
NO_EXPIRY = -1
FAULT = "pod kill"


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at all heartbeats: {instance: {"value", "ttl_ms"}} at a moment of the server, in seconds."""

    op: Op
    moment: float
    seen: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Beat:
    """A beat: it happened after `after` and not later than `moment`."""

    after: float
    moment: float
    value: Any
    line: int


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `heartbeat` from looks at the keys."""
    timing = contract.timing
    absent = [
        name
        for name, value in (
            ("redis.heartbeat", contract.redis.heartbeat),
            ("timing.heartbeat_interval_s", timing.heartbeat_interval_s),
            ("timing.heartbeat_ttl_s", timing.heartbeat_ttl_s),
        )
        if value is None
    ]
    if absent or timing.heartbeat_interval_s is None or timing.heartbeat_ttl_s is None:
        reason = f"{', '.join(absent)} is not in the contract"
        return Judgement(section.guarantee, (Part("interval", missing=reason),))
    looks = list(_looks(section))
    live = _live(section)
    parts = (
        _interval(section, looks, live, timing.heartbeat_interval_s),
        _value(section, looks),
        _expiry(section, looks, timing.heartbeat_ttl_s),
        _at_once(section, contract, looks, live),
        _death(section, contract, looks, live, timing.heartbeat_ttl_s),
        _stopped(section, contract, looks, timing.heartbeat_ttl_s),
    )
    beats = {name: len(_beats(_phase(section, looks, "beats"), name)) for name in live}
    evidence = {"beats": sorted(beats.values()), "looks": len(looks)}
    budget = f"{timing.heartbeat_interval_s:g} s +-20 %, gone in {timing.heartbeat_ttl_s:g} s"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def _looks(section: Section) -> Iterator[_Look]:
    for op in section.ops("heartbeats"):
        if op.type == "ok" and op.done:
            yield _Look(op, float(op.data.get("server_time", 0)), op.done.value or {})


def _live(section: Section) -> list[str]:
    """The instances of the first snapshot, or of the first look where logs do not name them."""
    for _, line in section.of("pods"):
        return [pod["instance"] for pod in pods_of(line) if pod["instance"]]
    return []


def _phase(section: Section, looks: list[_Look], name: str) -> list[_Look]:
    """The looks of one phase of the workload."""
    marks = [(no, line.op) for no, line in section.of("watch")]
    start = next((no for no, op in marks if op == name), None)
    if start is None:
        return []
    end = next((no for no, _ in marks if no > start), len(section.lines) + 1)
    return [look for look in looks if start < look.op.call_no < end]


def _beats(looks: list[_Look], instance: str) -> list[_Beat]:
    found = []
    for before, look in pairwise(looks):
        was, is_ = before.seen.get(instance), look.seen.get(instance)
        if is_ and (was is None or is_["value"] != was["value"] or is_["ttl_ms"] > was["ttl_ms"]):
            found.append(_Beat(before.moment, look.moment, is_["value"], look.op.done_no))
    return found


def _interval(section: Section, looks: list[_Look], live: list[str], interval_s: float) -> Part:
    part = PartBuilder(section, "interval", "beats of each replica", BEATS)
    phase = _phase(section, looks, "beats")
    instances = live or sorted({name for look in phase for name in look.seen})
    low, high = interval_s * (1 - TOLERANCE), interval_s * (1 + TOLERANCE)
    counts = []
    for instance in instances:
        beats = _beats(phase, instance)
        counts.append(len(beats))
        for one, next_ in pairwise(beats):
            longest, shortest = next_.moment - one.after, next_.after - one.moment
            if longest < low or shortest > high:
                part.find(
                    f"{instance} beat after {next_.moment - one.moment:.2f} s",
                    expected=f"{low:g} to {high:g} s",
                    lines=(one.line, next_.line),
                )
        missed = _longest_silence(phase, beats)
        if phase and missed > high:
            part.find(f"{instance} did not beat for {missed:.1f} s", expected=f"{low:g} to {high:g} s")
    part.had = min(counts, default=0)
    return part.done()


def _longest_silence(phase: list[_Look], beats: list[_Beat]) -> float:
    """The longest time surely without a beat, from the first look to the last."""
    if not phase:
        return 0.0
    moments = [phase[0].moment, *(beat.moment for beat in beats)]
    ends = [*(beat.after for beat in beats), phase[-1].moment]
    return max(end - start for start, end in zip(moments, ends, strict=True))


def _value(section: Section, looks: list[_Look]) -> Part:
    """The value of each beat is the moment it was written, in seconds."""
    part = PartBuilder(section, "value", "beats", BEATS)
    for instance in sorted({name for look in looks for name in look.seen}):
        for beat in _beats(looks, instance):
            part.had += 1
            try:
                off_s = max(0.0, beat.after - float(beat.value), float(beat.value) - beat.moment)
            except (TypeError, ValueError):
                part.find(f"{instance} wrote {beat.value!r}", expected="Unix time in seconds", lines=(beat.line,))
                continue
            if not off_s <= VALUE_OFF_S:
                part.find(
                    f"{instance} wrote {beat.value}, which is {off_s:.0f} s off the server's clock",
                    expected=f"the current time in seconds, {VALUE_OFF_S:g} s off at most",
                    lines=(beat.line,),
                )
    return part.done()


def _expiry(section: Section, looks: list[_Look], ttl_s: float) -> Part:
    part = PartBuilder(section, "expiry", "looks", BEATS)
    part.had = sum(bool(look.seen) for look in looks)
    told: set[str] = set()
    for look in looks:
        for instance, key in look.seen.items():
            ttl_ms = key["ttl_ms"]
            wrong = "no expiry" if ttl_ms == NO_EXPIRY else f"{ttl_ms / 1000:.1f} s to live"
            if instance not in told and (ttl_ms == NO_EXPIRY or ttl_ms > (ttl_s + SLACK_S) * 1000):
                told.add(instance)
                part.find(f"the key of {instance} has {wrong}", expected=f"{ttl_s:g} s", lines=(look.op.done_no,))
    return part.done()


def _at_once(section: Section, contract: Contract, looks: list[_Look], live: list[str]) -> Part:
    """A replica that has become ready has a heartbeat, from its start on."""
    part = PartBuilder(section, "at once", "starts", 1)
    if contract.log.instance is None:
        part.missing = "log.instance is not in the contract"
        return part.done()
    first = next(section.of("pods"), None)
    born = [(no, str(line.data.get("instance"))) for no, line in section.of("born")]
    starts = [(first[0], instance) for instance in live] if first else []
    for no, instance in starts + [pair for pair in born if pair[1] and pair[1] not in live]:
        after = [look for look in looks if look.op.call_no > no]
        if not after or seconds_between(section.lines[no - 1], section.lines[-1]) < EARLY_S:
            continue
        part.had += 1
        early = [look for look in after if _since(section.lines[no - 1], look) <= EARLY_S]
        if not any(instance in look.seen for look in early):
            part.find(
                f"{instance} was ready and had no heartbeat {EARLY_S:g} s later",
                expected="the first beat at its start",
                lines=(no, early[-1].op.done_no if early else after[0].op.done_no),
            )
    return part.done()


def _since(line: Line, look: _Look) -> float:
    return seconds_between(line, look.op.done) if look.op.done else 0.0


def _death(section: Section, contract: Contract, looks: list[_Look], live: list[str], ttl_s: float) -> Part:
    """The heartbeat of the killed process goes within the TTL."""
    part = PartBuilder(section, "death", "killed replicas", 1)
    happened = outcome(section, FAULT)
    if contract.log.instance is None:
        part.missing = "log.instance is not in the contract"
    elif not happened.bit:
        part.doubt = f"the kill did not bite: {happened.why or 'it was not carried out'}"
    if part.missing or part.doubt:
        return part.done()
    inject = next((pair for pair in section.of("fault", op="inject")), None)
    born = {str(line.data.get("instance")) for _, line in section.of("born")}
    for instance in live if inject else ():
        if inject and instance not in born:
            _judge_gone(part, looks, instance, inject, ttl_s)
    return part.done()


def _stopped(section: Section, contract: Contract, looks: list[_Look], ttl_s: float) -> Part:
    """The heartbeat of a replica whose event loop stands still goes within the TTL."""
    part = PartBuilder(section, "stopped loop", "stopped replicas", 1)
    if contract.log.instance is None:
        part.missing = "log.instance is not in the contract"
        return part.done()
    for no, line in section.of("stopped loop"):
        resumed = next((n for n, _ in section.of("resumed loop", op=line.op) if n > no), len(section.lines))
        during = [look for look in looks if look.op.call_no < resumed]
        _judge_gone(part, during, str(line.data.get("instance")), (no, line), ttl_s)
    return part.done()


def _judge_gone(part: PartBuilder, looks: list[_Look], instance: str, since: tuple[int, Line], ttl_s: float) -> None:
    no, line = since
    after = [look for look in looks if look.op.call_no > no]
    if not after or _since(line, after[-1]) < ttl_s:
        return  # not watched for long enough
    part.had += 1
    last = next((look for look in reversed(after) if instance in look.seen), None)
    if last and _since(line, last) > ttl_s + SLACK_S / 2:
        part.find(
            f"the heartbeat of {instance} was still there {_since(line, last):.1f} s later",
            expected=f"gone within {ttl_s:g} s",
            lines=(no, last.op.done_no),
        )
