"""`continuity`: a watcher that reconnects misses nothing, sees nothing twice and nothing out of order.

A loss is announced, never silent. Judged by the numbers of the messages (`websocket.seq`) and by the source's own count
(`websocket.source_counter`), of every watcher: those that stay, those that come late, those that leave and come back,
and those that are cut off by faults. What was disturbed by faults is compared with the history too; what was not is for
`history` to judge.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from limpet.checkers import interruptions
from limpet.checkers.agreement import END_WITHIN_S, ENDED, of_session, stream_of
from limpet.checkers.connections import Leg, legs, watcher_of
from limpet.checkers.delivery import Flaw, Rule, of_leg
from limpet.checkers.endurance import longest_s, struck, through_faults
from limpet.checkers.parts import PartBuilder, replicas_declared
from limpet.checkers.replayed import equal_to_history
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Judgement, Part

SESSIONS = 6
EVENTS = 1000  # messages with a number, over all watchers
SHARED = 500  # of those, numbers that more than one watcher got
JOINS = 12
RECONNECTS = 20
REFUSALS = 4
INTERRUPTIONS = 10


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `continuity` from everything that watchers asked for and got, and from the faults that were made."""
    judgement = delivered(section, contract)
    every = legs(section)
    by_session = _by_session(every)
    streams = [stream_of(same, undisturbed=False) for several in by_session.values() for same in _by_stream(several)]
    told = PartBuilder(section, "interruptions", "interruptions", INTERRUPTIONS)
    told.had, told.missing = sum(map(interruptions.announced, streams)), _missing(contract, "source count")
    for flaw in chain.from_iterable(map(interruptions.of_stream, streams)):
        told.find(flaw.seen, expected=flaw.expected, lines=flaw.lines)
    missing = _missing(contract, "order")
    parts = (
        *judgement.parts,
        told.done(),
        *through_faults(section, contract, every, missing),
        equal_to_history(section, contract, by_session, missing),
    )
    waits = {one.fault: f"{longest_s(every, one):.1f} s" for one in struck(section)}
    evidence = {**judgement.evidence, "interruptions": told.had, "longest wait": waits}
    return replace(judgement, parts=parts, evidence=evidence)


def delivered(section: Section, contract: Contract) -> Judgement:
    """The same as far as it is seen by what watchers got alone, whatever was disturbed."""
    every = legs(section)
    by_session = _by_session(every)
    deletes = {op.call.session: op for op in section.ops("delete") if op.type == "ok"}
    flaws: dict[Rule, list[Flaw]] = defaultdict(list)
    for flaw in chain(
        chain.from_iterable(map(of_leg, every)),
        *(of_session(section, several, deletes.get(session)) for session, several in by_session.items()),
        turned_away(section),
    ):
        flaws[flaw.rule].append(flaw)
    count = sum(len(leg.numbered) for leg in every)
    joined = [leg for leg in every if leg.after is None and leg.told]
    resumed = [leg for leg in every if leg.after is not None and leg.recovered and (leg.messages or leg.code == ENDED)]
    refused = [leg for leg in every if leg.after is not None and leg.told and not leg.recovered]
    counted = sum(line.op == "event" and "n" in line.data for leg in every for _, _, line in leg.numbered)
    parts = (
        _part(section, contract, "order", "messages", count, EVENTS, flaws),
        _part(section, contract, "once", "messages", count, EVENTS, flaws),
        _part(section, contract, "gapless or announced", "messages", count, EVENTS, flaws),
        _part(section, contract, "nothing after the end", "sessions", _ended(every), SESSIONS, flaws),
        _part(section, contract, "same for all", "messages", _shared(every), SHARED, flaws),
        _part(section, contract, "join", "watchers", len(joined), JOINS, flaws),
        _part(section, contract, "resume", "reconnects", len(resumed), RECONNECTS, flaws, _one_sided(section, resumed)),
        _part(section, contract, "refused resume", "reconnects", len(refused), REFUSALS, flaws),
        _part(section, contract, "source count", "events", counted, EVENTS, flaws),
    )
    served = Counter(leg.pod for leg in resumed if leg.pod)
    evidence = {
        "sessions": len(by_session),
        "messages": count,
        "reconnects": len(resumed),
        "per replica": sorted(served.values()),
    }
    budget = f"0 lost, 0 twice, the end in {END_WITHIN_S:g} s"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def _by_session(every: Sequence[Leg]) -> dict[str, list[Leg]]:
    found: dict[str, list[Leg]] = defaultdict(list)
    for leg in every:
        found[leg.session].append(leg)
    return found


def _by_stream(several: Sequence[Leg]) -> list[list[Leg]]:
    found: dict[str, list[Leg]] = defaultdict(list)
    for leg in several:
        found[leg.stream].append(leg)
    return list(found.values())


def _part(  # noqa: PLR0917  a row of the table above
    section: Section,
    contract: Contract,
    rule: Rule,
    what: str,
    had: int,
    enough: int,
    flaws: dict[Rule, list[Flaw]],
    doubt: str = "",
) -> Part:
    part = PartBuilder(section, rule, what, enough)
    part.had, part.doubt, part.missing = had, doubt, _missing(contract, rule)
    for flaw in flaws[rule]:
        part.find(flaw.seen, expected=flaw.expected, lines=flaw.lines)
    return part.done()


def _missing(contract: Contract, rule: Rule) -> str:
    """Why the contract does not let this be shown, "" when it does."""
    stream = contract.websocket
    if stream is None:
        return "[websocket] is not in the contract"
    if stream.seq is None:
        return "websocket.seq is not in the contract"
    if rule in ("resume", "refused resume") and "after" not in (stream.resume or {}):
        return "websocket.resume is not in the contract"
    if rule == "source count" and stream.source_counter is None:
        return "websocket.source_counter is not in the contract"
    return ""


def _one_sided(section: Section, resumed: Sequence[Leg]) -> str:
    """Where it is told who served: whether every replica did."""
    served = {leg.pod for leg in resumed}
    if "" in served or len(served) >= replicas_declared(section):
        return ""
    return f"{len(served)} of {replicas_declared(section)} replicas served a reconnect"


def _ended(every: Sequence[Leg]) -> int:
    return len({leg.session for leg in every if leg.end})


def _shared(every: Sequence[Leg]) -> int:
    """How many messages were got by more than one watcher."""
    got = {(leg.watcher, leg.session, leg.stream, seq) for leg in every for seq, _, _ in leg.numbered}
    times = Counter((session, stream, seq) for _, session, stream, seq in got)
    return sum(count > 1 for count in times.values())


def turned_away(section: Section) -> Iterator[Flaw]:
    """A watcher whose last try to connect was refused never got its stream."""
    last: dict[int, Op] = {}
    for op in section.ops("connect"):
        last[watcher_of(op.call)] = op
    for op in last.values():
        if op.type == "fail":
            resumes = isinstance(op.call.value, dict) and "after" in op.call.value
            said = f"{op.data.get('status', '')} {op.data.get('text', op.data.get('error', ''))}".strip()
            seen = f"a watcher of {op.call.session} was never let in: {said}"
            yield Flaw("resume" if resumes else "join", seen, "its stream, from any replica", (op.call_no, op.done_no))
