"""What is wrong with the way in which one watcher got a stream.

Every message of a stream has a number: 1, 2, 3 and so on, events, interruptions and the end alike. A watcher is told
where it stands (`subscribed`) and gets everything from there on, once and in order; what is missing was announced as a
`gap`; nothing comes after the end. One that asked to go on after N stands at N (`recovered` is true), unless something
was lost or it asked for what cannot be: then `recovered` is false.

What can only be seen by comparing watchers is in `limpet.checkers.agreement`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from limpet.checkers.connections import Leg, range_of

Rule = Literal[
    "order",
    "once",
    "gapless or announced",
    "nothing after the end",
    "same for all",
    "join",
    "resume",
    "refused resume",
    "source count",
    "interruptions",
]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong, with the numbers of the lines that show it."""

    rule: Rule
    seen: str
    expected: str
    lines: tuple[int, ...]


def of_leg(leg: Leg) -> Iterator[Flaw]:
    """All that is wrong with one leg by itself."""
    yield from _readable(leg)
    yield from _numbers(leg)
    yield from _holes(leg)
    yield from _gaps(leg)
    yield from _after_end(leg)
    if leg.after is not None:
        yield from _resumed(leg, leg.after)


def _readable(leg: Leg) -> Iterator[Flaw]:
    for no, line in leg.messages:
        if line.op == "unreadable":
            yield Flaw("order", f"a watcher of {leg.session} got a frame that is no JSON object", "messages", (no,))
        elif "of" in line.data:
            seen = f"a watcher of {leg.session} got {_a(line.op)} of {line.data['of']}"
            yield Flaw("same for all", seen, "what its session streams, no more", (no,))
        elif line.op == "event" and not isinstance(line.value, int):
            yield Flaw("order", f"an event of {leg.session} has no number", "a number", (no,))


def _numbers(leg: Leg) -> Iterator[Flaw]:
    """Each number once, each larger than the one before it and than the start."""
    first: dict[int, int] = {}
    highest, highest_no = leg.start, leg.opened[0]
    for seq, no, _ in leg.numbered:
        if seq in first:
            yield Flaw("once", f"a watcher of {leg.session} got {seq} twice", "each message once", (first[seq], no))
            continue
        first[seq] = no
        if leg.start is not None and seq <= leg.start:
            yield Flaw(
                "order" if leg.after is None else "resume",
                f"a watcher of {leg.session} stood at {leg.start} and got {seq}",
                f"what comes after {leg.start}",
                (leg.opened[0], no),
            )
        elif highest is not None and seq < highest:
            seen = f"a watcher of {leg.session} got {seq} after {highest}"
            yield Flaw("order", seen, "the order of the numbers", (highest_no, no))
        if highest is None or seq > highest:
            highest, highest_no = seq, no


def _holes(leg: Leg) -> Iterator[Flaw]:
    """Between the start and the last number, each came or was announced as lost."""
    came = sorted([(seq, seq, no) for seq, no, _ in leg.numbered] + leg.gaps)
    start = leg.start if leg.start is not None else (came[0][0] - 1 if came else 0)
    at, at_no = start, leg.opened[0]
    for first, last, no in came:
        if first > at + 1:
            lost = f"{at + 1}" if first == at + 2 else f"{at + 1} to {first - 1}"
            yield Flaw(
                "resume" if at == start and leg.after is not None else "gapless or announced",
                f"a watcher of {leg.session} did not get {lost}, and no gap said so",
                "every message, or a gap",
                (at_no, no),
            )
        if last > at:
            at, at_no = last, no


def _gaps(leg: Leg) -> Iterator[Flaw]:
    """A gap is a range of what the watcher did not have and does not get; what is lost in a row is one gap."""
    came = {seq: no for seq, no, _ in leg.numbered}
    before = ""
    for no, line in leg.messages:
        if line.op == "gap":
            range_ = range_of(line)
            if range_ is None:
                seen = f"a gap of {leg.session} goes from {line.data.get('from')!r} to {line.data.get('to')!r}"
                yield Flaw("gapless or announced", seen, "the first and the last number that is lost", (no,))
                continue
            first, last = range_
            got = next((seq for seq in came if first <= seq <= last), None)
            if got is not None:
                seen = f"a watcher of {leg.session} got {got}, and a gap says that {first} to {last} are lost"
                yield Flaw("gapless or announced", seen, "a gap for what is lost, no more", (came[got], no))
            elif leg.start is not None and first <= leg.start:
                seen = f"a watcher of {leg.session} stood at {leg.start}, and a gap begins with {first}"
                yield Flaw("gapless or announced", seen, "a gap for what is lost, no more", (leg.opened[0], no))
            if before == "gap":
                yield Flaw("gapless or announced", f"two gaps of {leg.session} in a row", "one gap", (no,))
        before = line.op


def _after_end(leg: Leg) -> Iterator[Flaw]:
    end = leg.end
    if end is None:
        return
    for no, line in leg.messages:
        if no > end[1]:
            seen = f"{_a(line.op)} of {leg.session} came after its end"
            yield Flaw("nothing after the end", seen, "nothing", (end[1], no))


def _resumed(leg: Leg, after: int) -> Iterator[Flaw]:
    """What it was told fits what it had asked for, and what came then."""
    lines = (leg.call[0], leg.opened[0])
    if not leg.told:
        if leg.messages:
            seen = f"a watcher of {leg.session} resumed after {after} and was not told where it stands"
            yield Flaw("resume", seen, "`subscribed` first", (leg.call[0], leg.messages[0][0]))
        return
    said = f"a watcher of {leg.session} resumed after {after}"
    if leg.recovered is None:
        yield Flaw("resume", f"{said} and was not told whether it recovered", "recovered: true or false", lines)
    elif leg.elsewhere:
        if leg.recovered:
            seen = f"{said} of {leg.asked_stream}, and was recovered in {leg.stream}"
            yield Flaw("refused resume", seen, "recovered: false in another stream", lines)
    elif leg.recovered and leg.start != after:
        yield Flaw("resume", f"{said}, was recovered and told to stand at {leg.start}", f"{after}", lines)
    elif leg.messages and leg.start == after:
        no, first = leg.messages[0]
        if leg.recovered and first.op == "gap":
            yield Flaw("resume", f"{said} and was recovered, with a gap", "recovered: false", (*lines, no))
        elif not leg.recovered and not leg.gaps and leg.end:  # the gap may lie further on, where it did not come to
            yield Flaw("resume", f"{said}, was not recovered and lost nothing", "recovered: true", (*lines, leg.end[1]))


def _a(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"
