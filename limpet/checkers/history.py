"""`history`: every streamed event is in the history once, searchable, and replay equals what was streamed.

Events are told apart by what they carry. Between the first and the last event that a watcher got, the history has
exactly what the watcher got, in the same order.
"""

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from limpet.checkers.parts import PartBuilder
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Judgement, Part

SESSIONS = 12
RUN_S = 4.0
COMPLETE_WITHIN_S = 10.0
EVENTS = 100
UNWATCHED = 3
AFTER_DELETE = 6


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `history` from the streams, and from replays and searches while the gadgets ran and after their end."""
    if contract.http.events is None and contract.http.search is None:
        return Judgement(
            section.guarantee, (Part("replay", missing="http.events and http.search are not in the contract"),)
        )
    streamed = _streamed(section)
    replays = _last(section, "replay after")
    parts = (
        _replay(section, contract, streamed, replays),
        _once(section, contract, replays),
        _unwatched(section, contract, replays),
        _complete(section, contract, replays),
        _viewers(section, contract, streamed),
        _live(section, contract),
        _search(section, contract, replays),
    )
    evidence = {
        "sessions": len(replays),
        "streamed": sum(len(events) for watchers in streamed.values() for events in watchers.values()),
        "recorded": sum(len(_recorded(op)) for op in replays.values()),
    }
    budget = f"complete {COMPLETE_WITHIN_S:g} s after the delete"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def items(body: Any) -> list[Any]:
    """The events of an answer: the array itself, or the first array in an object."""
    if isinstance(body, dict):
        body = next((value for value in body.values() if isinstance(value, list)), [])
    return body if isinstance(body, list) else []


def _key(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)


def _recorded(op: Op) -> list[str]:
    """What each recorded event carries, as text, in the order of the answer; only events, no interruptions or ends."""
    found = []
    for item in items(op.done.value if op.done else None):
        kind = item.get("type") if isinstance(item, dict) else None
        if kind in (None, "event") or "data" in item:
            found.append(_key(item["data"] if isinstance(item, dict) and "data" in item else item))
    return found


def _last(section: Section, op_name: str) -> dict[str, Op]:
    """The last good answer of each session."""
    return {op.call.session: op for op in section.ops(op_name) if op.type == "ok"}


def _streamed(section: Section) -> dict[str, dict[int, list[tuple[int, str]]]]:
    """Session -> watcher -> (line, what the event carries)."""
    found: dict[str, dict[int, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    for no, line in section.of("message", op="event"):
        found[line.session][line.process].append((no, _key(line.data.get("payload"))))
    return found


def _replay(
    section: Section,
    contract: Contract,
    streamed: dict[str, dict[int, list[tuple[int, str]]]],
    replays: dict[str, Op],
) -> Part:
    part = PartBuilder(section, "replay equals stream", "streamed events", EVENTS)
    if contract.http.events is None:
        part.missing = "http.events is not in the contract"
        return part.done()
    for session, watchers in streamed.items():
        replay = replays.get(session)
        for events in watchers.values():
            if replay is None:
                part.find(f"{session} was streamed and has no replay", expected="its events", lines=(events[0][0],))
                continue
            part.had += len(events)
            _compare(part, session, events, _recorded(replay), replay.done_no)
    return part.done()


def _compare(
    part: PartBuilder, session: str, events: list[tuple[int, str]], recorded: list[str], replay_line: int
) -> None:
    """One watcher's events against the history between its first and its last."""
    places: dict[str, int] = {}
    for place, key in enumerate(recorded):
        places.setdefault(key, place)
    for no, key in events:
        if key not in places:
            part.find(f"an event of {session} was streamed and is not in the history", expected="in it once",
                      lines=(no, replay_line))  # fmt: skip
    found = [(no, places[key]) for no, key in events if key in places]
    for (before_no, before), (no, place) in pairwise(found):
        if place <= before:
            part.find(
                f"the history has two events of {session} in another order than they were streamed",
                expected="the order of the stream",
                lines=(before_no, no, replay_line),
            )
        elif place > before + 1:
            part.find(
                f"the history has {place - before - 1} events of {session} that its watcher did not get",
                expected="what was streamed, no more",
                lines=(before_no, no, replay_line),
            )


def _once(section: Section, contract: Contract, replays: dict[str, Op]) -> Part:
    part = PartBuilder(section, "each once", "sessions", SESSIONS)
    part.missing = "" if contract.http.events else "http.events is not in the contract"
    for session, op in replays.items() if contract.http.events else ():
        part.had += 1
        twice = [key for key, count in Counter(_recorded(op)).items() if count > 1]
        if twice:
            part.find(f"the history has {len(twice)} events of {session} more than once", expected="each once",
                      lines=(op.done_no,))  # fmt: skip
    return part.done()


def _kinds(section: Section, kind: str) -> set[str]:
    return {str(line.data.get("session")) for _, line in section.of("kind", op=kind)}


def _unwatched(section: Section, contract: Contract, replays: dict[str, Op]) -> Part:
    """What nobody watched was recorded too, and so was what came before a late watcher."""
    part = PartBuilder(section, "unwatched", "sessions", UNWATCHED)
    part.missing = "" if contract.http.events else "http.events is not in the contract"
    streamed = _streamed(section)
    for session in sorted(_kinds(section, "unwatched")) if contract.http.events else ():
        replay = replays.get(session)
        part.had += 1
        if replay is None or not _recorded(replay):
            lines = (replay.done_no,) if replay else ()
            part.find(f"{session} ran unwatched and has no history", expected="its events", lines=lines)
    for session in sorted(_kinds(section, "late")) if contract.http.events else ():
        replay, watchers = replays.get(session), list(streamed.get(session, {}).values())
        if replay and watchers and _recorded(replay)[:1] == [watchers[0][0][1]]:
            part.find(
                f"the history of {session} begins with its first watcher, who came late",
                expected="the events before it too",
                lines=(watchers[0][0][0], replay.done_no),
            )
    return part.done()


def _complete(section: Section, contract: Contract, replays: dict[str, Op]) -> Part:
    """By the source's own count nothing is missing between the first recorded event and the last."""
    part = PartBuilder(section, "complete", "sessions", SESSIONS)
    counter = contract.websocket.source_counter if contract.websocket else None
    if counter is None or not counter.startswith("data."):
        part.missing = "websocket.source_counter is not in the contract"
        return part.done()
    name = counter.removeprefix("data.")
    for session, op in replays.items():
        payloads = [json.loads(key) for key in _recorded(op)]
        counts = [p[name] for p in payloads if isinstance(p, dict) and isinstance(p.get(name), int)]
        part.had += bool(counts)
        for before, count in pairwise(counts):
            if count != before + 1:
                part.find(
                    f"in the history of {session}, {counter} goes from {before} to {count}",
                    expected="each event of the source, in order",
                    lines=(op.done_no,),
                )
    return part.done()


def _viewers(section: Section, contract: Contract, streamed: dict[str, dict[int, list[tuple[int, str]]]]) -> Part:
    """Two watchers of one session get the same events while both watch."""
    part = PartBuilder(section, "viewers agree", "pairs of watchers", 1)
    part.missing = "" if contract.websocket else "[websocket] is not in the contract"
    for session in sorted(_kinds(section, "twice")):
        watchers = list(streamed.get(session, {}).values())
        if len(watchers) < 2:  # noqa: PLR2004  a pair
            continue
        part.had += 1
        one, other = ([key for _, key in events] for events in watchers[:2])
        common = set(one) & set(other)
        if not common:
            part.find(f"two watchers of {session} have no event in common", expected="the same events",
                      lines=(watchers[0][0][0], watchers[1][0][0]))  # fmt: skip
            continue
        shared = [_between(keys, common) for keys in (one, other)]
        if shared[0] != shared[1]:
            part.find(f"two watchers of {session} got different events at the same time", expected="the same events",
                      lines=(watchers[0][0][0], watchers[1][0][0]))  # fmt: skip
    return part.done()


def _between(keys: list[str], common: set[str]) -> list[str]:
    """From the first to the last that both got."""
    places = [place for place, key in enumerate(keys) if key in common]
    return keys[places[0] : places[-1] + 1]


def _live(section: Section, contract: Contract) -> Part:
    """The history can be asked while the gadget runs."""
    part = PartBuilder(section, "answers", "replays and searches", SESSIONS)
    part.missing = "" if contract.http.events or contract.http.search else "http.events is not in the contract"
    for op in section.ops("replay live", "replay after", "search live", "search after"):
        part.had += 1
        if op.failed:
            seen = f"{op.data.get('status', '')} {op.data.get('text', op.data.get('error', ''))}".strip()
            part.find(f"{op.call.op} answered {seen}", expected="200", lines=(op.call_no, op.done_no))
    return part.done()


def _search(section: Section, contract: Contract, replays: dict[str, Op]) -> Part:
    """A search for a session finds what its replay has, also after the session is gone."""
    part = PartBuilder(section, "search", "sessions", AFTER_DELETE)
    if contract.http.search is None:
        part.missing = "http.search is not in the contract"
        return part.done()
    sessions = {str(line.data.get("session")) for _, line in section.of("kind")}
    for session, op in _last(section, "search after").items():
        part.had += 1
        found, replay = Counter(_recorded(op)), replays.get(session)
        wanted = Counter(_recorded(replay)) if replay else Counter()
        if wanted - found:
            part.find(
                f"a search for {session} lacks {(wanted - found).total()} of {wanted.total()} recorded events",
                expected="all of them",
                lines=tuple(o.done_no for o in (replay, op) if o),
            )
        # what it has beyond the replay may have come since; whether a gadget goes on is for `session-record` to judge
        others = sorted({id_ for item in items(op.done.value if op.done else None) for id_ in sessions & _texts(item)})
        if set(others) - {session}:
            part.find(
                f"a search for {session} finds events of {', '.join(i for i in others if i != session)}",
                expected="only events of that session",
                lines=(op.done_no,),
            )
    return part.done()


def _texts(item: Any) -> set[str]:
    """The texts that an event has at its top level: among them the session it belongs to."""
    return {value for value in item.values() if isinstance(value, str)} if isinstance(item, dict) else set()
