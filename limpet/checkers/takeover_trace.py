"""What the Redis trace tells of takeovers: epochs that grow, numbers that are appended once, and nobody who comes late.

And what was deleted in the moment of a kill: nothing of it is shown, runs or is appended any more.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from limpet.checkers.orphans import Killed
from limpet.checkers.ownership import Tale
from limpet.checkers.parts import PartBuilder, lacks
from limpet.checkers.recorded import items
from limpet.checkers.running import running
from limpet.contract import Contract
from limpet.history import Op, Section, seconds_between

PASSINGS = 20
APPENDS = 500
LATE = 1
DELETED = 6
MOMENT_S = 1.0  # how far a delete may be from a kill, to be in the same moment
NOT_FOUND = 404


def epochs(section: Section, contract: Contract, tale: Tale) -> PartBuilder:
    """Nobody becomes the owner of a session without a larger epoch in the same step."""
    part = PartBuilder(section, "epoch grows", "changes of owner", PASSINGS)
    part.missing = lacks(contract, "redis.epoch", "redis.owned")
    part.had = len(tale.passings)
    for passing in tale.passings:
        if not passing.raised:
            part.find(
                f"{passing.session} went from {passing.former or 'nobody'} to {passing.owner} under the same epoch",
                expected="a larger one, set in the same step",
                lines=(passing.no,),
            )
    return part


def appends(section: Section, contract: Contract, tale: Tale) -> PartBuilder:
    """Every number of a stream is appended once, each behind the one before."""
    part = PartBuilder(section, "one append a number", "appends", APPENDS)
    part.missing = lacks(contract, "redis.events")
    last: dict[str, tuple[int, int]] = {}
    for append in tale.appends:
        if append.seq is None:
            continue
        part.had += 1
        before, before_no = last.get(append.session, (append.seq - 1, append.no))
        if append.seq != before + 1:
            again = "again, " if append.seq <= before else ""
            part.find(
                f"{append.pod} appended {append.seq} to {append.session}, {again}after {before}",
                expected=f"{before + 1}",
                lines=(before_no, append.no),
            )
        last[append.session] = (append.seq, append.no)
    return part


def stale(section: Section, contract: Contract, tale: Tale) -> PartBuilder:
    """What a former owner still sends changes nothing."""
    part = PartBuilder(section, "stale appends refused", "appends that came late", LATE)
    part.missing = lacks(contract, "redis.epoch", "redis.epoch_field", "redis.events")
    for _, line in section.of("fault", op="unsupported"):
        part.missing = part.missing or str(line.data.get("why"))
    part.had = len(tale.late)
    for append in tale.appends:
        if append.stale:
            part.find(
                f"{append.pod} appended {append.seq} to {append.session} under epoch {append.epoch}, after epoch "
                f"{append.current} was handed out",
                expected="refused",
                lines=(append.no,),
            )
    return part


def deleted(section: Section, contract: Contract, rounds: Sequence[Killed], tale: Tale) -> PartBuilder:
    """A session that was deleted in the moment of a kill is gone, and stays so."""
    part = PartBuilder(section, "deleted stay deleted", "sessions deleted in the moment of a kill", DELETED)
    deletes: dict[str, list[Op]] = defaultdict(list)
    for op in section.ops("delete"):
        deletes[op.call.session].append(op)
    gone: dict[str, Op] = {}
    for one in rounds:
        for session in one.doomed:
            own = deletes[session]
            answered = next((op for op in own if op.type == "ok" or op.data.get("status") == NOT_FOUND), None)
            if answered:
                gone[session] = answered
                part.had += abs(seconds_between(one.died[1], own[0].call)) <= MOMENT_S
    for no, session, what in chain(_shown(section, contract, gone), _acted(section, tale, gone)):
        part.find(
            f"{what} {session} after its delete was answered",
            expected="nothing of it any more",
            lines=(gone[session].done_no, no),
        )
    return part


def _shown(section: Section, contract: Contract, gone: Mapping[str, Op]) -> Iterator[tuple[int, str, str]]:
    """Where replicas, or their sets, still have what was deleted."""
    for op in section.ops("list", "owners", "instances"):
        if op.type != "ok" or op.done is None:
            continue
        if op.call.op == "list":
            shown, what = set(op.done.value or ()), f"replica {op.pod or '?'} lists"
        elif op.call.op == "owners":
            shown, what = {one for ids in (op.done.value or {}).values() for one in ids}, "a replica owns"
        else:
            shown, what = set[str](), "a replica still runs"
            for item in items(op.done.value):
                shown |= running(item, contract) or set()
        for session, delete in gone.items():
            if session in shown and delete.done_no < op.call_no:
                yield op.done_no, session, what


def _acted(section: Section, tale: Tale, gone: Mapping[str, Op]) -> Iterator[tuple[int, str, str]]:
    """What the trace has of what was deleted, since its delete was answered."""
    done = [(one.no, one.session, f"{one.owner} became the owner of") for one in tale.passings]
    done += [(one.no, one.session, f"{one.pod} appended to the stream of") for one in tale.appends]
    for no, session, what in done:
        over = gone[session].done if session in gone else None
        if over and section.lines[no - 1].t > over.t:
            yield no, session, what
