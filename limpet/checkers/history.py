"""`history`: every streamed event is in the history once, searchable, and replay equals what was streamed.

Between the first and the last event that a watcher got, the history has exactly what the watcher got, in the same
order. What is missing may still be on its way: it is blamed only once the time for that is over.

Where `continuity` is claimed too, events are numbered, and what is wrong with the way to a watcher (it missed an event,
got it late or twice, or one of another session) shows in the numbers and is blamed there; then what the watchers got is
taken in its order, and nobody is blamed here for what none of them got.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from limpet.checkers.parts import PartBuilder
from limpet.checkers.recorded import (
    Event,
    alike,
    begins,
    gaps,
    in_order,
    items,
    matched,
    once,
    recorded,
    silence_s,
    streamed,
    unique,
)
from limpet.checkers.viewers import viewers_agree
from limpet.contract import Contract
from limpet.history import Op, Section, seconds_between
from limpet.verdict import Judgement, Part

SESSIONS = 12
RUN_S = 4.0
COMPLETE_WITHIN_S = 10.0
LIMIT = 1000  # events asked for in one answer
EVENTS = 100
TOLD_APART = 6
UNWATCHED = 3
AFTER_DELETE = 6
SILENT_S = RUN_S / 4  # where no source was silent for so long while it was watched, none was while it was not
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class _Session:
    """One session whose history was asked for after its end.

    Attributes:
        kind: how it was watched: `watched`, `late`, `twice`, `unwatched`.
        replay: the last answer, None where none was had.
        recorded: its events.
        watched: what each watcher got; told from others in the same way as `recorded`.
        final: whether nothing may be on its way any more.
    """

    id: str
    kind: str
    replay: Op | None
    recorded: list[Event]
    watched: list[list[Event]]
    final: bool

    @property
    def line(self) -> int:
        """The line of the replay."""
        return self.replay.done_no if self.replay else 0


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `history` from the streams, and from replays and searches while the gadgets ran and after their end."""
    if contract.http.events is None and contract.http.search is None:
        return Judgement(
            section.guarantee, (Part("replay", missing="http.events and http.search are not in the contract"),)
        )
    sessions = list(_sessions(section, contract))
    parts = (
        _replay(section, contract, sessions),
        _once(section, contract, sessions),
        _unwatched(section, contract, sessions),
        _complete(section, contract, sessions),
        *(() if _numbered(contract) else (viewers_agree(section, contract, [s.watched for s in sessions]),)),
        _answers(section),
        _search(section, contract, sessions),
    )
    evidence = {
        "sessions": len(sessions),
        "streamed": sum(len(events) for session in sessions for events in session.watched),
        "recorded": sum(len(session.recorded) for session in sessions),
    }
    return Judgement(section.guarantee, parts, evidence, f"complete {COMPLETE_WITHIN_S:g} s after the delete")


def _numbered(contract: Contract) -> bool:
    """Whether the way to the watchers is for `continuity` to judge."""
    stream = contract.websocket
    return stream is not None and stream.seq is not None and "continuity" in contract.claims.guarantees


def _sessions(section: Section, contract: Contract) -> Iterator[_Session]:
    replays = {op.call.session: op for op in section.ops("replay after") if op.type == "ok" or _empty(op)}
    got = streamed(section, own=_numbered(contract))
    for _, line in section.of("kind"):
        id_ = str(line.data.get("session"))
        replay = replays.get(id_)
        came = got.get(id_, {}).values()
        ordered = filter(None, map(in_order, came) if _numbered(contract) else came)
        history, *watched = alike(recorded(replay, contract), *ordered)
        yield _Session(id_, line.op, replay, history, watched, _final(section, replay))


def _empty(op: Op) -> bool:
    """Whether it says that there is no history, which is one without events."""
    return op.call.op.startswith("replay") and op.data.get("status") == NOT_FOUND


def _final(section: Section, op: Op | None) -> bool:
    """Whether this answer came so late, and has so few events, that nothing may be missing in it."""
    if op is None or op.done is None or len(items(op.done.value)) >= LIMIT:
        return False
    ends = [d.done for d in section.ops("delete") if d.type == "ok" and d.done and d.call.session == op.call.session]
    return any(seconds_between(end, op.call) >= COMPLETE_WITHIN_S for end in ends)


def _about_events(section: Section, contract: Contract, name: str, what: str, enough: int) -> PartBuilder:
    part = PartBuilder(section, name, what, enough)
    part.missing = "" if contract.http.events else "http.events is not in the contract"
    return part


def _miss(part: PartBuilder, session: _Session, seen: str, expected: str, *lines: int) -> None:
    """Something is not in the history; as long as it may be on its way, that is a doubt."""
    if session.final:
        part.find(seen, expected=expected, lines=(*lines, session.line))
    else:
        part.doubt = f"{seen}; but it was not asked again after {COMPLETE_WITHIN_S:g} s, or the answer was cut"


def _replay(section: Section, contract: Contract, sessions: list[_Session]) -> Part:
    part = _about_events(section, contract, "replay equals stream", "streamed events", EVENTS)
    for session in sessions:
        counts = [event.count for event in once(session.recorded) if event.count is not None]
        if not session.watched and counts != sorted(counts):
            part.find(f"the history of {session.id} is not in the order of its source", expected="the order of events",
                      lines=(session.line,))  # fmt: skip
        for events in session.watched if session.replay else ():
            part.had += len(events)
            _compare(part, session, events, numbered=_numbered(contract))
    return part.done()


def _compare(part: PartBuilder, session: _Session, events: list[Event], *, numbered: bool) -> None:
    """One watcher's events against the history between its first and its last."""
    missing, kept, window = matched(session.recorded, events)
    for event in missing:
        seen = f"an event of {session.id} was streamed and is not in the history"
        _miss(part, session, seen, "in it once", event.line)
    if window is None:
        part.find(
            f"the history has events of {session.id} in another order than they were streamed",
            expected="the order of the stream",
            lines=(kept[0].line, kept[-1].line, session.line),
        )
        return
    # what another watcher got is for `viewers agree` to judge, and what is there too often for `each once`
    somebodys = {event.key for watched in session.watched for event in watched}
    strange = [key for key in window if key not in somebodys]
    if numbered:
        numbers = {seq for seq, _ in somebodys}
        strange = [(seq, payload) for seq, payload in strange if seq is None or seq in numbers]
    if strange:
        part.find(
            f"the history has {len(strange)} events of {session.id} that its watchers did not get",
            expected="what was streamed, no more",
            lines=(kept[0].line, kept[-1].line, session.line),
        )


def _once(section: Section, contract: Contract, sessions: list[_Session]) -> Part:
    """Nothing is there twice; events that carry the same and have no number are only told by how often they came."""
    part = _about_events(section, contract, "each once", "sessions", TOLD_APART)
    for session in sessions if contract.http.events else ():
        if session.recorded and unique(session.recorded):
            part.had += 1
            more = Counter(event.key for event in session.recorded) - Counter({e.key for e in session.recorded})
        elif session.recorded and session.watched:
            part.had += 1
            more = Counter()
            for events in session.watched:
                _, kept, window = matched(session.recorded, events)
                came = Counter(event.key for event in kept)
                more |= Counter(key for key in window or () if key in came) - came
        else:
            continue
        if more:
            part.find(f"the history has {more.total()} events of {session.id} too often", expected="each once",
                      lines=(session.line,))  # fmt: skip
    return part.done()


def _unwatched(section: Section, contract: Contract, sessions: list[_Session]) -> Part:
    """What nobody watched was recorded too, and so was what came before a late watcher."""
    part = _about_events(section, contract, "unwatched", "sessions", UNWATCHED)
    steady = silence_s(section) < SILENT_S
    for session in sessions if contract.http.events else ():
        part.had += session.kind == "unwatched" and bool(session.recorded)
        first = next((next_ for before, next_ in gaps(session.recorded) if before == 0), None)
        if session.kind not in ("unwatched", "late") or session.replay is None:
            continue
        if first is not None:
            seen = f"the history of {session.id} begins with the source's event {first}"
            _miss(part, session, seen, "the events before it too")
        elif steady and session.kind == "unwatched" and not session.recorded:
            _miss(part, session, f"{session.id} ran unwatched and has no history", "its events")
        elif steady and session.watched and begins(session.recorded, session.watched[0]):
            seen = f"the history of {session.id} begins with its first watcher, who came late"
            _miss(part, session, seen, "the events before it too", session.watched[0][0].line)
    return part.done()


def _complete(section: Section, contract: Contract, sessions: list[_Session]) -> Part:
    """By the source's own count nothing is missing between the first recorded event and the last."""
    part = _about_events(section, contract, "complete", "sessions", SESSIONS)
    counter = contract.websocket.source_counter if contract.websocket else None
    if counter is None:
        part.missing = "websocket.source_counter is not in the contract"
    announced = {line.session for _, line in section.of("message", op="interruption")}
    for session in sessions:
        part.had += any(event.count is not None for event in session.recorded)
        if session.id in announced:
            continue
        came = {event.count for events in session.watched for event in events}
        for before, next_ in gaps(session.recorded):
            if before and not came >= set(range(before + 1, next_)):  # else it was streamed, and missing in the replay
                seen = f"in the history of {session.id}, {counter} goes from {before} to {next_}"
                _miss(part, session, seen, "each event of the source")
    return part.done()


def _answers(section: Section) -> Part:
    """The history can be asked, also while the gadget runs."""
    part = PartBuilder(section, "answers", "replays and searches", SESSIONS)
    for op in section.ops("replay live", "replay after", "search live", "search after"):
        part.had += 1
        if op.failed and not _empty(op):
            seen = f"{op.data.get('status', '')} {op.data.get('text', op.data.get('error', ''))}".strip()
            part.find(f"{op.call.op} answered {seen}", expected="200", lines=(op.call_no, op.done_no))
    return part.done()


def _search(section: Section, contract: Contract, sessions: list[_Session]) -> Part:
    """A search for a session finds what the replay before it had, and no more than the replay after it has."""
    part = PartBuilder(section, "search", "sessions", AFTER_DELETE)
    part.missing = "" if contract.http.search else "http.search is not in the contract"
    searches = {op.call.session: op for op in section.ops("search after") if op.type == "ok"}
    replays = [op for op in section.ops("replay after") if op.type == "ok"]
    for session in sessions:
        op = searches.get(session.id)
        if op is None:
            continue
        part.had += 1
        own = [replay for replay in replays if replay.call.session == session.id]
        before = next((replay for replay in reversed(own) if replay.done_no < op.call_no), None)
        after = next((replay for replay in own if replay.call_no > op.done_no), None)
        found = _payloads(recorded(op, contract))
        wanted = _payloads(once(recorded(before, contract)))
        for events in session.watched if contract.http.events is None else ():
            wanted |= _payloads(once(events))
        lacks, extra = wanted - found, found - _payloads(recorded(after, contract))
        if lacks and _final(section, op):
            part.find(
                f"a search for {session.id} lacks {lacks.total()} of {wanted.total()} events",
                expected="all of them",
                lines=tuple(replay.done_no for replay in (before, op) if replay),
            )
        elif lacks:
            part.doubt = f"a search for {session.id} lacks {lacks.total()} events, and was not made again later"
        if extra and after:
            part.find(
                f"a search for {session.id} finds {extra.total()} events that its replay has not",
                expected="only events of that session, each once",
                lines=(op.done_no, after.done_no),
            )
    return part.done()


def _payloads(events: list[Event]) -> Counter[str]:
    return Counter(event.payload for event in events)
