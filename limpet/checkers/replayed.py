"""Whether the history has the stream as its watchers got it: the same events with the same numbers, none more."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from limpet.checkers.agreement import stream_of
from limpet.checkers.connections import Leg
from limpet.checkers.history import LIMIT
from limpet.checkers.parts import PartBuilder
from limpet.checkers.recorded import recorded
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Part

EVENTS = 1000
SHOWN = 3  # numbers, in a finding


def equal_to_history(
    section: Section, contract: Contract, by_session: Mapping[str, Sequence[Leg]], missing: str
) -> Part:
    """A part: the last replay of each session against what its watchers got. `missing`: why it cannot be judged."""
    part = PartBuilder(section, "equal to the history", "events", EVENTS)
    part.missing = missing or ("" if contract.http.events else "http.events is not in the contract")
    last: dict[str, Op] = {}
    for op in section.ops("replay"):
        last[op.call.session] = op
    for session, op in last.items():
        if op.type != "ok":
            seen = f"what was recorded of {session} was not to be had: {op.data.get('status', op.data.get('error'))}"
            part.find(seen, expected="its events", lines=(op.call_no,))
            continue
        legs = by_session.get(session, ())
        streams: dict[str, list[Leg]] = defaultdict(list)
        for leg in legs:
            streams[leg.stream].append(leg)
        if len(streams) == 1:  # with several, a number does not tell which one it is of
            part.had += _compare(part, contract, op, legs)
    return part.done()


def _compare(part: PartBuilder, contract: Contract, op: Op, legs: Sequence[Leg]) -> int:
    """Find what is wrong; how many events are in both."""
    session = op.call.session
    first = stream_of(legs, undisturbed=False).first
    streamed = {seq: (no, line.data.get("n")) for seq, (no, line) in first.items() if line.op == "event"}
    events = [event for event in recorded(op, contract) if event.seq is not None]
    kept = {event.seq: event.count for event in events if event.seq is not None}
    numbers = [event.seq for event in events]
    if numbers != sorted(kept):
        part.find(
            f"the history of {session} is not in the order of its numbers, each once",
            expected="the stream's order",
            lines=(op.done_no,),
        )
    asked = max(kept, default=0) if len(events) >= LIMIT else max(first, default=0)  # the rest was not asked for
    lost = [seq for seq in sorted(streamed) if seq not in kept and seq <= asked]
    if lost:
        part.find(
            f"{len(lost)} events of {session} were streamed and are not in its history: {_some(lost)}",
            expected="all of them",
            lines=(streamed[lost[0]][0], op.done_no),
        )
    other = [seq for seq, (_, count) in streamed.items() if kept.get(seq) not in (None, count)]
    if other:
        part.find(
            f"{len(other)} events of {session} are others in its history: {_some(other)}",
            expected="the same",
            lines=(streamed[other[0]][0], op.done_no),
        )
    begun = min((leg.start for leg in legs if leg.start is not None), default=0)
    more = [seq for seq in sorted(kept) if begun < seq <= max(first, default=0) and seq not in first]
    if more:
        part.find(
            f"the history of {session} has {len(more)} events that no watcher got: {_some(more)}",
            expected="what was streamed",
            lines=(op.done_no,),
        )
    return len(streamed.keys() & kept.keys()) - len(other)


def _some(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(map(str, numbers[:SHOWN])) + more
