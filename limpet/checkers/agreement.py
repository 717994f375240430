"""What is wrong with a session's stream as several watchers got it: seen by comparing what each of them was told.

The same number is the same message for all; nobody gets more than the stream has, nobody is left behind while others go
on; a watcher that joins gets what comes from now on; a resume is granted where nothing was lost; and the source's own
count has no jump that no interruption stands for.

A message that was received is in the stream from then on at the latest, so whoever asks later has to be given it. What
a replica might learn a moment later than another is blamed on nobody: `LAG_S` and `LATE_S` are allowed for it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from limpet.checkers.connections import Leg, Numbered
from limpet.checkers.delivery import Flaw, Rule
from limpet.history import Line, Op, Section, seconds_between

LAG_S = 1.0  # within which a joining watcher may be told an older position
LATE_S = 5.0  # within which a message has to reach every watcher that is there
END_WITHIN_S = 10.0  # from an acknowledged delete to the end of the stream at every watcher
ENDED, NO_SESSION = 1000, 4404


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of one session, as all its watchers got it.

    Attributes:
        first: number -> where it was received first.
        end: the number of its end and the line, None where nobody got it.
        undisturbed: whether its watchers had left before the first fault was made, so that nothing may be lost.
    """

    session: str
    legs: Sequence[Leg]
    first: dict[int, Numbered]
    end: tuple[int, Numbered] | None
    undisturbed: bool


def of_session(section: Section, legs: Sequence[Leg], deleted: Op | None) -> Iterator[Flaw]:
    """All that is wrong with one session's streams. `legs` are those of this session, in order of their lines."""
    struck_no = next((no for no, _ in section.of("fault", op="inject")), len(section.lines) + 1)
    undisturbed = all(leg.closed[0] < struck_no if leg.closed else struck_no > len(section.lines) for leg in legs)
    by_stream: dict[str, list[Leg]] = defaultdict(list)
    for leg in legs:
        by_stream[leg.stream].append(leg)
    for same in by_stream.values():
        stream = stream_of(same, undisturbed=undisturbed)
        yield from _alike(stream)
        yield from _beyond_end(stream)
        yield from _counts(stream)
        yield from _joins(section, stream)
        yield from _resumes(stream)
        yield from _kept(stream)
        yield from _behind(section, stream)
        yield from _closes(section, stream, deleted)
    yield from _changes(legs, undisturbed=undisturbed)
    yield from _silent(section, legs)


def stream_of(legs: Sequence[Leg], *, undisturbed: bool) -> Stream:
    """What all watchers of one stream got of it."""
    first: dict[int, Numbered] = {}
    for seq, no, line in sorted((m for leg in legs for m in leg.numbered), key=lambda m: m[1]):
        first.setdefault(seq, (no, line))
    end = min(((seq, at) for seq, at in first.items() if at[1].op == "session_ended"), default=None)
    return Stream(legs[0].session, legs, first, end, undisturbed)


def _alike(stream: Stream) -> Iterator[Flaw]:
    for leg in stream.legs:
        for seq, no, line in leg.numbered:
            first_no, first = stream.first[seq]
            if _content(first) != _content(line):
                seen = f"two watchers of {stream.session} got different messages {seq}"
                yield Flaw("same for all", seen, "the same for all", (first_no, no))


def _content(line: Line) -> tuple[object, ...]:
    return line.op, line.data.get("n"), line.data.get("digest")


def _beyond_end(stream: Stream) -> Iterator[Flaw]:
    if stream.end is None:
        return
    end, (end_no, _) = stream.end
    for seq, (no, line) in stream.first.items():
        if seq > end:
            seen = f"{stream.session} ended with {end}, and has {line.op} {seq}"
            yield Flaw("nothing after the end", seen, "nothing", (end_no, no))


def _counts(stream: Stream) -> Iterator[Flaw]:
    """The source's count never falls or repeats, and jumps only where an interruption stands."""
    before: tuple[int, int, int] | None = None  # number, count and line of the event before
    explained = False  # whether what lies between is not known, or an interruption
    last = 0
    for seq, (no, line) in sorted(stream.first.items()):
        explained = explained or seq != last + 1 or line.op == "interruption"
        last = seq
        count = line.data.get("n")
        if line.op != "event" or not isinstance(count, int):
            explained = explained or line.op == "event"  # one that the source did not count
            continue
        if before and (count <= before[1] or (count != before[1] + 1 and not explained)):
            seen = f"the source of {stream.session} counts {before[1]} in message {before[0]} and {count} in {seq}"
            expected = "each count once, and an interruption where some are missing"
            yield Flaw("source count", seen, expected, (before[2], no))
        before, explained = (seq, count, no), False


def _joins(section: Section, stream: Stream) -> Iterator[Flaw]:
    """A watcher that asks for nothing past is not given what others had long before it came."""
    for leg in stream.legs:
        if leg.after is not None or not leg.told or leg.start is None:
            continue
        _, call = leg.call
        old = [(seq, at) for seq, at in stream.first.items() if seconds_between(at[1], call) >= LAG_S]
        if not old:
            continue
        seq, (no, line) = max(old, key=lambda pair: pair[0])
        least = seq - (line.op == "session_ended")  # the end is always still to come
        if leg.start < least:
            seen = f"a watcher of {stream.session} joined and was told to stand at {leg.start}, and {seq} had come"
            yield Flaw("join", seen, "what comes from now on", (no, leg.opened[0]))
    yield from _unknown_session(section, stream)


def _unknown_session(section: Section, stream: Stream) -> Iterator[Flaw]:
    for leg in stream.legs:
        if leg.code == NO_SESSION and leg.closed and _exists(section, leg):
            rule: Rule = "join" if leg.after is None else "resume"
            seen = f"a watcher was told that there is no session {stream.session}"
            yield Flaw(rule, seen, "its stream, or the rest of it", (leg.call[0], leg.closed[0]))


def _exists(section: Section, leg: Leg) -> bool:
    """Whether the session surely was there: created before the connect, and not deleted before its refusal."""
    made = any(op.done and op.done.session == leg.session for op in section.ops("create") if op.done_no < leg.call[0])
    closed_no = leg.closed[0] if leg.closed else len(section.lines)
    return made and not any(
        op.call.session == leg.session and op.call_no < closed_no and op.type != "fail" for op in section.ops("delete")
    )


def _resumes(stream: Stream) -> Iterator[Flaw]:
    """Where a watcher may go on depends on what the stream had by then."""
    told = (leg.position for leg in stream.legs if leg.after is None)
    highest = max([0, *stream.first, *told])
    for leg in stream.legs:
        if leg.after is None or leg.elsewhere or not leg.told:
            continue
        lines = (leg.call[0], leg.opened[0])
        had = max((seq for seq, (no, _) in stream.first.items() if no < leg.call[0]), default=0)
        said = f"a watcher of {stream.session} resumed after {leg.after}"
        if leg.recovered and leg.after > highest:
            yield Flaw("refused resume", f"{said}, beyond its end, and was recovered", "recovered: false", lines)
        elif leg.recovered is False and leg.after <= had and leg.start != leg.after:
            seen = f"{said}, which the stream had, and was told to stand at {leg.start}"
            yield Flaw("resume", seen, f"to stand at {leg.after}", lines)


def _kept(stream: Stream) -> Iterator[Flaw]:
    """What was said to be lost is not there for somebody who asks later; nothing else is passed over."""
    for leg in stream.legs if stream.undisturbed else ():
        lost = [*leg.gaps]
        if leg.after is not None and leg.recovered is False and leg.start and leg.start != leg.after:
            lost.append((1, leg.start, leg.opened[0]))
        for first, last, no in lost:
            later = (
                (seq, at)
                for other in stream.legs
                if other.call[0] > no
                for seq, at, _ in other.numbered
                if first <= seq <= last
            )
            kept = next(later, None)
            if kept:
                seen = f"a watcher of {stream.session} was told that {first} to {last} are lost, and {kept[0]} was kept"
                rule: Rule = "resume" if leg.after is not None else "gapless or announced"
                yield Flaw(rule, seen, "what is kept", (no, kept[1]))


def _behind(section: Section, stream: Stream) -> Iterator[Flaw]:
    """Nobody who is there the whole time lacks what another watcher got long before."""
    numbers = sorted(stream.first)
    for leg in stream.legs:
        if leg.code is not None or leg.start is None:
            continue  # closed by the other side: it knows, and comes back for the rest
        until = leg.closed[1] if leg.closed else _over(section, leg)
        place = bisect_right(numbers, leg.position)
        if place == len(numbers):
            continue
        seq = numbers[place]
        no, line = stream.first[seq]
        own = leg.messages[-1][1] if leg.messages else leg.opened[1]  # who still catches up is not left behind
        waited_s = min(seconds_between(line, until), seconds_between(own, until))
        if waited_s >= LATE_S:
            seen = f"a watcher of {stream.session} got nothing after {leg.position}, and another got {seq}"
            expected = f"every message within {LATE_S:g} s"
            yield Flaw("same for all", seen, expected, (leg.opened[0], no))


def _over(section: Section, leg: Leg) -> Line:
    """Until when a connection is seen that no line closes: the next `subscribed` on it, or the end of the record."""
    process = leg.call[1].process
    again = section.of("message", op="subscribed")
    return next((line for no, line in again if line.process == process and no > leg.opened[0]), section.lines[-1])


def _closes(section: Section, stream: Stream, deleted: Op | None) -> Iterator[Flaw]:
    """Every watcher gets the end, then the connection is closed with 1000; so is none that has not got it."""
    end = stream.end[0] if stream.end else None
    for leg in stream.legs:
        got = leg.end
        complete = got is not None or (end is not None and leg.start is not None and leg.start >= end)
        if leg.code == ENDED and not complete and leg.closed:
            seen = f"a watcher of {stream.session} was closed with {ENDED} and had not got its end"
            yield Flaw("nothing after the end", seen, "`session_ended` first", (leg.opened[0], leg.closed[0]))
        elif (
            got and stream.undisturbed and leg.code != ENDED and (leg.code is not None or _stays(section, leg, got[1]))
        ):
            how = "not closed" if leg.code is None else f"closed with {leg.code}"
            seen = f"a watcher of {stream.session} got its end and was {how}"
            yield Flaw("nothing after the end", seen, f"closed with {ENDED}", (got[1],))
        elif not complete and deleted and deleted.done and leg.code is None and leg.opened[0] < deleted.done_no:
            until = leg.closed[1] if leg.closed else _over(section, leg)
            if seconds_between(deleted.done, until) >= END_WITHIN_S:
                seen = f"{stream.session} was deleted, and a watcher did not get its end"
                expected = f"`session_ended` within {END_WITHIN_S:g} s"
                yield Flaw("nothing after the end", seen, expected, (leg.opened[0], deleted.done_no))


def _stays(section: Section, leg: Leg, end_no: int) -> bool:
    """Whether the connection stayed open for long after the end."""
    until = leg.closed[1] if leg.closed else section.lines[-1]
    return seconds_between(section.lines[end_no - 1], until) >= LATE_S


def _changes(legs: Sequence[Leg], *, undisturbed: bool) -> Iterator[Flaw]:
    """A new stream begins only where something was lost, and never gives way to an older one again."""
    order: list[Leg] = []  # of each stream, the leg in which it was seen first
    for leg in legs:
        known = next((old for old in order if old.stream == leg.stream), None)
        if not leg.stream or (order and order[-1] is known):
            continue
        if known is None:
            if order and undisturbed:
                seen = f"{leg.session} went from stream {order[-1].stream} to {leg.stream}, and nothing was disturbed"
                yield Flaw("same for all", seen, "one stream", (order[-1].opened[0], leg.opened[0]))
            order.append(leg)
        elif leg.asked_stream != leg.stream and leg.call[0] > order[-1].opened[0]:
            seen = f"{leg.session} went from stream {order[-1].stream} back to {leg.stream}"
            yield Flaw("same for all", seen, "the newest stream", (order[-1].opened[0], leg.opened[0]))


def _silent(section: Section, legs: Sequence[Leg]) -> Iterator[Flaw]:
    """Where watchers are told where they stand, each one is."""
    for leg in legs if any(leg.told for leg in legs) else ():
        until = leg.closed[1] if leg.closed else section.lines[-1]
        if not leg.told and leg.code is None and seconds_between(leg.opened[1], until) >= LATE_S:
            seen = f"a watcher of {leg.session} was let in and not told where it stands"
            yield Flaw("resume" if leg.after is not None else "join", seen, "`subscribed` first", (leg.opened[0],))
