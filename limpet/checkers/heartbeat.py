"""`heartbeat`: each live replica beats at once and then every interval +-20 %; a dead one disappears within the TTL.

Moments are those of the Redis server, asked in the same transaction as the keys. A beat is seen as a new value or as a
time to live that was set anew; it happened after the look before, so an interval is known up to the distance of two
looks. Where looks come late less is known, and nobody is blamed for what is not known.
"""

from dataclasses import dataclass
from itertools import groupby, pairwise
from math import isfinite
from typing import Any

from limpet.checkers.membership import SLACK_S, Key, Look, judge_gone, looks_at
from limpet.checkers.parts import PartBuilder, pods_of
from limpet.checkers.recovery import outcome
from limpet.contract import Contract
from limpet.history import Section
from limpet.verdict import Judgement, Part

BEATS = 6
TOLERANCE = 0.2
EARLY_S = 1.0  # from being ready to the first beat: "at once", on a busy machine
VALUE_OFF_S = 2.0  # a whole second is cut off, and the write takes its time
REFRESHED_MS = 100  # a time to live that fell by so much less than time passed was set anew
NO_EXPIRY = -1  # as PTTL says it
FAULT = "pod kill"


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
    looks = looks_at(section)
    steady = _steady(section, looks)
    named = _ready(section)
    live = named if all(named) else []
    unnamed = {name for look in steady for name in look.seen if _beats(steady, name)}
    beating = live or sorted(unnamed)
    parts = (
        _interval(section, steady, beating, len(named), timing.heartbeat_interval_s),
        _value(section, looks),
        _expiry(section, looks, steady, timing.heartbeat_ttl_s),
        _at_once(section, contract, looks, live),
        _death(section, contract, looks, live, timing.heartbeat_ttl_s),
        _stopped(section, contract, looks, timing.heartbeat_ttl_s),
    )
    evidence = {"beats": sorted(len(_beats(steady, name)) for name in beating), "looks": len(looks)}
    budget = f"{timing.heartbeat_interval_s:g} s +-20 %, gone in {timing.heartbeat_ttl_s:g} s"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def _ready(section: Section) -> list[str]:
    """The instances that were ready at first, "" where the log does not name them."""
    first = next(section.of("pods"), None)
    return [pod["instance"] for pod in pods_of(first[1]) if pod["phase"] == "ready"] if first else []


def _steady(section: Section, looks: list[Look]) -> list[Look]:
    """The looks before anything was disturbed."""
    marks = [(no, line.op) for no, line in section.of("watch")]
    start = next((no for no, op in marks if op == "beats"), None)
    if start is None:
        return []
    end = next((no for no, _ in marks if no > start), len(section.lines) + 1)
    return [look for look in looks if start < look.op.call_no < end]


def _beats(looks: list[Look], instance: str) -> list[_Beat]:
    found = []
    for before, look in pairwise(looks):
        was, is_ = before.seen.get(instance), look.seen.get(instance)
        if is_ and (was is None or _written(was, is_, look.moment - before.moment)):
            found.append(_Beat(before.moment, look.moment, is_["value"], look.op.done_no))
    return found


def _written(was: Key, is_: Key, passed_s: float) -> bool:
    """Whether the key was written between two looks."""
    if was["value"] != is_["value"]:
        return True
    if NO_EXPIRY in (was["ttl_ms"], is_["ttl_ms"]):
        return bool(was["ttl_ms"] != is_["ttl_ms"])
    return bool(is_["ttl_ms"] > was["ttl_ms"] - passed_s * 1000 + REFRESHED_MS)


def _interval(section: Section, steady: list[Look], beating: list[str], ready: int, interval_s: float) -> Part:
    part = PartBuilder(section, "interval", "beats of each replica", BEATS)
    low, high = interval_s * (1 - TOLERANCE), interval_s * (1 + TOLERANCE)
    expected = f"{low:g} to {high:g} s"
    counts = []
    for instance in beating:
        beats = _beats(steady, instance)
        counts.append(len(beats))
        for one, next_ in pairwise(beats):
            if next_.moment - one.after < low or next_.after - one.moment > high:
                seen = f"{instance} beat after {next_.moment - one.moment:.2f} s"
                part.find(seen, expected=expected, lines=(one.line, next_.line))
        silent_s = _silent_s(steady, beats)
        if silent_s > high:
            part.find(f"{instance} did not beat for {silent_s:.1f} s", expected=expected)
    watched_s = steady[-1].moment - steady[0].moment if steady else 0.0
    if len(beating) < ready and watched_s > high:
        part.find(f"{len(beating)} heartbeats of {ready} replicas", expected="one of each replica")
    part.had = min(counts, default=0)
    return part.done()


def _silent_s(steady: list[Look], beats: list[_Beat]) -> float:
    """The longest time surely without a beat before the first and after the last of them."""
    if not steady:
        return 0.0
    start, end = steady[0].moment, steady[-1].moment
    return max(beats[0].after - start, end - beats[-1].moment) if beats else end - start


def _value(section: Section, looks: list[Look]) -> Part:
    """The value of each beat is the moment it was written, in seconds."""
    part = PartBuilder(section, "value", "beats", BEATS)
    for instance in sorted({name for look in looks for name in look.seen}):
        for beat in _beats(looks, instance):
            part.had += 1
            try:
                value = float(beat.value)
            except (TypeError, ValueError):
                value = float("nan")
            if not isfinite(value):
                part.find(f"{instance} wrote {beat.value!r}", expected="Unix time in seconds", lines=(beat.line,))
                continue
            off_s = max(beat.after - value, value - beat.moment)
            if off_s > VALUE_OFF_S:
                part.find(
                    f"{instance} wrote {beat.value}, which is {off_s:.0f} s off the server's clock",
                    expected=f"the current time in seconds, {VALUE_OFF_S:g} s off at most",
                    lines=(beat.line,),
                )
    return part.done()


def _expiry(section: Section, looks: list[Look], steady: list[Look], ttl_s: float) -> Part:
    """Every key expires, not later than the TTL, and not before the next beat."""
    part = PartBuilder(section, "expiry", "looks", BEATS)
    part.had = sum(bool(look.seen) for look in looks)
    for instance in sorted({name for look in looks for name in look.seen}):
        wrong = (look for look in looks if instance in look.seen and not _expires(look.seen[instance], ttl_s))
        look = next(wrong, None)
        if look:
            ttl_ms = look.seen[instance]["ttl_ms"]
            seen = "no expiry" if ttl_ms == NO_EXPIRY else f"{ttl_ms / 1000:.1f} s to live"
            part.find(f"the key of {instance} has {seen}", expected=f"{ttl_s:g} s", lines=(look.op.done_no,))
        # one look alone may fall between a delete and a write
        runs = [list(run) for _, run in groupby(steady, key=lambda look: instance in look.seen)]
        gone = next((run for run in runs[1:-1] if instance not in run[0].seen and len(run) > 1), None)
        if gone:
            part.find(
                f"the key of {instance} was gone between two beats",
                expected="there as long as the replica lives",
                lines=(gone[0].op.done_no, gone[-1].op.done_no),
            )
    return part.done()


def _expires(key: Key, ttl_s: float) -> bool:
    return bool(key["ttl_ms"] != NO_EXPIRY and key["ttl_ms"] <= (ttl_s + SLACK_S) * 1000)


def _at_once(section: Section, contract: Contract, looks: list[Look], live: list[str]) -> Part:
    """A replica that has become ready has a heartbeat, from its start on."""
    part = PartBuilder(section, "at once", "starts", 1)
    if contract.log.instance is None:
        part.missing = "log.instance is not in the contract"
        return part.done()
    starts = [(no, instance) for no, _ in list(section.of("pods"))[:1] for instance in live]
    ready_at = {str(line.data.get("instance")): no for no, line in section.of("pod", op="ready")}
    born = [(no, str(line.data.get("instance"))) for no, line in section.of("born")]
    # the target may have seen it become ready some time before the workload heard of it
    new = [(ready_at.get(instance, no), instance) for no, instance in born if instance and instance not in live]
    for no, instance in starts + new:
        ready = section.lines[no - 1]
        after = [look for look in looks if look.op.call_no > no]
        first = next((index for index, look in enumerate(after) if instance in look.seen), len(after))
        late = [look for look in after[:first] if look.began_s(ready) >= EARLY_S]
        if late:
            part.find(
                f"{instance} was ready and had no heartbeat {EARLY_S:g} s later",
                expected="the first beat at its start",
                lines=(no, late[0].op.done_no),
            )
        part.had += first < len(after) and after[first].ended_s(ready) <= EARLY_S
    return part.done()


def _death(section: Section, contract: Contract, looks: list[Look], live: list[str], ttl_s: float) -> Part:
    """The heartbeat of the killed process goes within the TTL."""
    part = PartBuilder(section, "death", "killed replicas", 1)
    happened = outcome(section, FAULT)
    effect = next((pair for pair in section.of("fault", op="effect") if pair[1].data.get("fault") == FAULT), None)
    born = {str(line.data.get("instance")) for _, line in section.of("born")}
    left = [instance for instance in live if instance not in born]
    if contract.log.instance is None:
        part.missing = "log.instance is not in the contract"
    elif effect is None:
        part.doubt = f"the kill did not bite: {happened.why or 'it was not carried out'}"
    elif born and len(left) != 1:
        part.doubt = f"{len(left)} replicas went; which of them was killed is not known"
    elif born:
        judge_gone(part, looks, left[0], effect, ttl_s)
    return part.done()


def _stopped(section: Section, contract: Contract, looks: list[Look], ttl_s: float) -> Part:
    """The heartbeat of a replica whose event loop stands still goes within the TTL."""
    part = PartBuilder(section, "stopped loop", "stopped replicas", 1)
    if contract.log.instance is None:
        part.missing = "log.instance is not in the contract"
        return part.done()
    for no, line in section.of("stopped loop"):
        resumed = next((n for n, _ in section.of("resumed loop", op=line.op) if n > no), len(section.lines))
        during = [look for look in looks if look.op.call_no < resumed]
        judge_gone(part, during, str(line.data.get("instance")), (no, line), ttl_s)
    return part.done()
