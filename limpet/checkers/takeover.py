"""`takeover`: an orphaned session gets exactly one new owner in time; the old one's appends are refused.

What its watchers saw, who owns it and what really runs is asked; who took what under which epoch, and what was
appended, is read out of the Redis trace. What was deleted in the moment of a kill stays deleted.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import ceil

from limpet.checkers import interruptions
from limpet.checkers import takeover_trace as trace_parts
from limpet.checkers.agreement import of_session, stream_of
from limpet.checkers.connections import Leg, legs
from limpet.checkers.continuity import turned_away
from limpet.checkers.delivery import Flaw, of_leg
from limpet.checkers.orphans import Killed, Wait, announcements, killed, uneven, waits
from limpet.checkers.ownership import Tale, tell
from limpet.checkers.parts import PartBuilder, lacks
from limpet.checkers.recorded import items
from limpet.checkers.redis_commands import commands
from limpet.checkers.running import running
from limpet.contract import Contract
from limpet.history import Line, Section, seconds_between
from limpet.verdict import Judgement

SESSIONS = 24  # that a workload makes
ORPHANS = 20
WATCHED = 20
RESTS_S = 0.3  # beyond a look for dead replicas: what comes back by then would have come back
LOOKS = 60  # of gadgets, over all
MESSAGES = 1000
SLACK_S = 5.0


def budget_s(contract: Contract) -> float:
    """The longest time that the contract allows between the death of an owner and its sessions' next events."""
    timing = contract.timing
    lease_s = (timing.heartbeat_ttl_s or 0.0) + 2 * (timing.takeover_scan_s or 0.0) + SLACK_S
    return lease_s if timing.takeover_s is None else timing.takeover_s


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `takeover` from what watchers got, what replicas said of themselves, and the joined Redis trace."""
    every = legs(section)
    by_session: dict[str, list[Leg]] = defaultdict(list)
    for leg in every:
        by_session[leg.session].append(leg)
    rounds = killed(section)
    tale = tell(commands(section), contract.redis)
    waited = [(one, wait) for one in rounds for wait in waits(one, by_session)]
    traced = [line for _, line in section.of("trace")]
    doubt = "Redis was not traced" if not traced else ""
    if traced and traced[-1].data.get("lost"):
        doubt = f"the Redis trace is not whole: {traced[-1].data['lost']}"
    of_trace = (
        _one_owner(section, contract, rounds, tale),
        trace_parts.epochs(section, contract, tale),
        trace_parts.appends(section, contract, tale),
        trace_parts.stale(section, contract, tale),
        trace_parts.deleted(section, contract, rounds, tale),
    )
    for part in of_trace:
        part.doubt = part.doubt or doubt
    parts = (
        _in_time(section, contract, waited),
        of_trace[0],
        _spread(section, contract, rounds),
        _once(section, contract, rounds),
        *of_trace[1:],
        _goes_on(section, contract, rounds, every, by_session),
    )
    evidence = {
        "orphans": sum(len(one.sessions) for one in rounds),
        "next event p50/p95/max": _times(wait for _, wait in waited if not wait.reconnected),
        "after a reconnect": _times(wait for _, wait in waited if wait.reconnected),
        "shares": [" + ".join(map(str, sorted(one.shares.values()))) for one in rounds],
        "appends": len(tale.appends),
        "late": len(tale.late),
    }
    budget = f"next event in {budget_s(contract):g} s, 1 owner, 0 stale appends"
    return Judgement(section.guarantee, tuple(part.done() for part in parts), evidence=evidence, budget=budget)


def _times(several: Iterator[Wait]) -> str:
    waited = sorted(wait.waited_s for wait in several if wait.line)
    if not waited:
        return "none"
    chosen = (waited[ceil(share * len(waited)) - 1] for share in (0.5, 0.95, 1.0))
    return " / ".join(f"{1000 * one:.0f}" for one in chosen) + " ms"


def _in_time(section: Section, contract: Contract, waited: Sequence[tuple[Killed, Wait]]) -> PartBuilder:
    """Every watcher of an orphan gets an event of its new owner within the budget, once it is let in again."""
    part = PartBuilder(section, "in time", "watchers of orphans", WATCHED)
    part.missing = lacks(contract, "websocket.seq")
    allowed_s = budget_s(contract)
    for one, wait in waited:
        until = section.lines[one.until - 1]
        part.had += wait.line is not None
        late_s = wait.waited_s - wait.outside_s if wait.line else seconds_between(one.died[1], until)
        if late_s > allowed_s:
            part.find(
                f"a watcher of {wait.session} heard {'nothing' if wait.line is None else 'of it'} "
                f"{'for' if wait.line is None else 'again'} {late_s:.2f} s after its owner {one.instance} had died",
                expected=f"an event within {allowed_s:g} s",
                lines=(one.died[0], *((wait.line[0],) if wait.line else ())),
            )
    return part


def _one_owner(section: Section, contract: Contract, rounds: Sequence[Killed], tale: Tale) -> PartBuilder:
    """Afterwards each orphan is in the owned set of one other replica, which got it in one step."""
    part = PartBuilder(section, "one new owner", "orphans", ORPHANS)
    part.missing = lacks(contract, "redis.owned")
    for one in rounds:
        if one.after is None:
            continue
        passed = defaultdict(list)
        until = section.lines[one.until - 1]
        for passing in tale.passings:
            if section.lines[one.began - 1].t <= section.lines[passing.no - 1].t < until.t:
                passed[passing.session].append(passing)
        for session in one.sessions:
            owners = one.owners(session)
            part.had += 1
            if len(owners) != 1 or owners == [one.instance]:
                seen = (
                    f"{session}, whose owner {one.instance} had died, was owned by {' and '.join(owners) or 'nobody'}"
                )
                part.find(seen, expected="by one of the others", lines=(one.died[0], one.after.done_no))
            elif len(passed[session]) > 1:
                names = ", then ".join(passing.owner for passing in passed[session])
                part.find(
                    f"{session}, whose owner {one.instance} had died, was taken over by {names}",
                    expected="by one of the others, once",
                    lines=tuple(passing.no for passing in passed[session]),
                )
    return part


def _spread(section: Section, contract: Contract, rounds: Sequence[Killed]) -> PartBuilder:
    """Survivors take about the same number each."""
    part = PartBuilder(section, "spread evenly", "orphans that several could take", ORPHANS)
    part.missing = lacks(contract, "redis.owned")
    several = [one for one in rounds if len(one.survivors) > 1 and one.after]
    part.had = sum(sum(one.shares.values()) for one in several)
    if uneven(several):
        shares = ", ".join(" + ".join(map(str, sorted(one.shares.values()))) for one in several)
        lines = tuple(one.after.done_no for one in several if one.after)
        part.find(f"the survivors took {shares}", expected="about the same each", lines=lines)
    return part


def _once(section: Section, contract: Contract, rounds: Sequence[Killed]) -> PartBuilder:
    """Each session that is to run does so in one replica, as these say themselves."""
    part = PartBuilder(section, "runs once", "gadgets looked at", LOOKS)
    part.missing = lacks(contract, "http.instances", "http.running")
    creates = [op for op in section.ops("create") if op.type == "ok" and op.done]
    deletes = {op.call.session: op.call_no for op in reversed(section.ops("delete"))}  # the first call of each
    first_no = rounds[0].began if rounds else len(section.lines)
    for op in section.ops("instances") if not part.missing else ():
        if op.type != "ok" or op.done is None or op.call_no < first_no:
            continue
        said = [running(item, contract) for item in items(op.done.value)]
        for create in creates:
            session = create.done.session if create.done else ""
            if create.done_no > op.call_no or deletes.get(session, len(section.lines)) < op.done_no:
                continue
            count = sum(session in ids for ids in said if ids is not None)
            part.had += 1
            if count > 1 or (count == 0 and None not in said):
                seen = f"{session} runs {f'in {count} replicas' if count else 'nowhere'}"
                part.find(seen, expected="in one", lines=(op.done_no,))
    return part


def _goes_on(
    section: Section,
    contract: Contract,
    rounds: Sequence[Killed],
    every: Sequence[Leg],
    by_session: Mapping[str, Sequence[Leg]],
) -> PartBuilder:
    """Its watchers notice a takeover by one interruption at most."""
    part = PartBuilder(section, "streams go on", "messages", MESSAGES)
    part.missing = lacks(contract, "websocket.seq")
    part.had = sum(len(leg.numbered) for leg in every)
    streams: dict[tuple[str, str], list[Leg]] = defaultdict(list)
    for leg in every:
        streams[leg.session, leg.stream].append(leg)
    flaws: Iterator[Flaw] = chain(
        chain.from_iterable(map(of_leg, every)),
        *(of_session(section, several, None) for several in by_session.values()),
        *(interruptions.of_stream(stream_of(same, undisturbed=False)) for same in streams.values()),
        turned_away(section),
    )
    for flaw in flaws:
        part.find(flaw.seen, expected=flaw.expected, lines=flaw.lines)
    for one in rounds:
        for session in one.sessions:
            told: Sequence[tuple[int, Line]] = announcements(one, by_session.get(session, ()))
            if len(told) > 1:
                seen = f"{session} lost its owner once, and has {len(told)} interruptions for that"
                part.find(seen, expected="one", lines=tuple(no for no, _ in told))
    return part
