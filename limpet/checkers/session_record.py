"""`session-record`: a started session is in all its Redis keys, a deleted one in none that does not expire by itself.

After the 204 of a delete nothing of the session goes on: no event to a watcher, to the stream or to the history, no
gadget that runs. `IN_FLIGHT_S` is allowed for a message that was on its way to the watcher when the 204 was.
"""

import json
from collections.abc import Iterator
from typing import Any

from limpet.checkers.parts import Answerers, PartBuilder, replicas_declared
from limpet.contract import Contract
from limpet.history import Op, Section, seconds_between
from limpet.verdict import Judgement, Part

SESSIONS = 50
ENDED_WITHIN_S = 2.0
AFTER_S = 1.0
IN_FLIGHT_S = 0.25
NO_EXPIRY = -1


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `session-record` from the looks into Redis, the answers and the messages."""
    created = {op.done.session: op for op in section.ops("create") if op.type == "ok" and op.done}
    who = Answerers(section)
    deleted = {op.call.session: op for op in section.ops("delete") if op.type == "ok"}
    parts = (
        _calls(section, who, created, deleted),
        _created(section, contract, created),
        _watched(section, contract, who),
        _deleted(section, contract, deleted),
        _unlisted(section, deleted),
        _silent(section, contract, deleted),
        _quiet(section, contract, deleted),
        _stopped(section, contract, deleted),
        _clean(section, deleted),
    )
    through = len({who.of(op) for op in created.values()} - {""})
    evidence = {"sessions": len(deleted), "looks": len(section.ops("look")), "replicas": through}
    return Judgement(section.guarantee, parts, evidence=evidence, budget=f"{SESSIONS} sessions, 0 keys left")


def _looks(section: Section, step: str) -> Iterator[tuple[Op, dict[str, Any]]]:
    for op in section.ops("look"):
        if op.type == "ok" and op.done and op.data.get("step") == step:
            yield op, op.done.value


def _calls(section: Section, who: Answerers, created: dict[str, Op], deleted: dict[str, Op]) -> Part:
    """Enough sessions were created and deleted, over all replicas. Calls that failed are for others to judge."""
    part = PartBuilder(section, "calls", "sessions", SESSIONS)
    part.had = len(set(created) & set(deleted))
    through = {who.of(op) for op in created.values()} - {""}
    declared = replicas_declared(section)
    if through and len(through) < declared:
        part.doubt = f"sessions were created through {len(through)} of {declared} replicas"
    return part.done()


def _created(section: Section, contract: Contract, created: dict[str, Op]) -> Part:
    part = PartBuilder(section, "created", "sessions", SESSIONS)
    keys = contract.redis
    if not (keys.session or keys.active or keys.owned):
        part.missing = "redis.session, redis.active and redis.owned are not in the contract"
        return part.done()
    for op, seen in _looks(section, "created"):
        id_ = op.call.session
        lines = (created[id_].done_no, op.done_no) if id_ in created else (op.done_no,)
        part.had += 1
        if keys.session:
            key, record = keys.session.format(id=id_), seen["session"]
            if record["type"] != "string":
                part.find(f"{key} is of type {record['type']} after the create", expected="string", lines=lines)
            elif not isinstance(record["json"], dict) or record["json"].get(contract.http.id) != id_:
                part.find(
                    f"{key} holds no JSON with its own id", expected=f'{{"{contract.http.id}": "{id_}"}}', lines=lines
                )
        if keys.active and not seen["active"]:
            part.find(f"{id_} is not in {keys.active} after the create", expected="a member", lines=lines)
        if keys.owned and len(seen["owners"]) != 1:
            pattern = keys.owned.format(instance="*")
            part.find(f"{id_} is in {len(seen['owners'])} sets {pattern}", expected="in exactly one", lines=lines)
    return part.done()


def _watched(section: Section, contract: Contract, who: Answerers) -> Part:
    part = PartBuilder(section, "watched", "sessions", SESSIONS)
    if contract.redis.websocket is None or contract.websocket is None:
        part.missing = "redis.websocket or [websocket] is not in the contract"
        return part.done()
    connects = {op.call.session: op for op in section.ops("connect")}
    for op in connects.values():
        if op.failed:
            seen = op.data.get("text") or op.data.get("status") or op.data.get("error")
            part.find(f"the stream could not be opened: {seen}", expected="101", lines=(op.call_no, op.done_no))
    for no, line in section.of("gave up", op="first message"):
        part.find(f"a watcher saw nothing: {line.data.get('why')}", expected="a message", lines=(no,))
    for op, seen in _looks(section, "watched"):
        if op.call.session not in connects:
            continue
        part.had += 1
        named = seen["websocket"]
        pod = "" if Answerers.missing_for_sockets(contract) else who.of(connects[op.call.session])
        key = contract.redis.websocket.format(id=op.call.session)
        if named is None or (pod and named != pod):
            part.find(
                f"{key} is {named!r} while a WebSocket is open",
                expected=f"{pod or 'the replica that serves it'}",
                lines=(connects[op.call.session].done_no, op.done_no),
            )
    return part.done()


def _deleted(section: Section, contract: Contract, deleted: dict[str, Op]) -> Part:
    part = PartBuilder(section, "deleted", "sessions", SESSIONS)
    keys = contract.redis
    for op, seen in _looks(section, "deleted"):
        id_ = op.call.session
        if id_ not in deleted:
            continue
        lines = (deleted[id_].done_no, op.done_no)
        part.had += 1
        if seen.get("active"):
            part.find(f"{id_} is still in {keys.active} after the 204", expected="no member", lines=lines)
        if seen["owners"]:
            part.find(f"{id_} is still owned by {seen['owners']} after the 204", expected="by nobody", lines=lines)
        # ws:{id} ends with the sockets, which close after the 204
        closing = keys.websocket.format(id=id_) if keys.websocket else ""
        for key, ttl_ms in seen["left"].items():
            gone = keys.session is not None and key == keys.session.format(id=id_)
            if gone or (ttl_ms == NO_EXPIRY and key != closing):
                life = "no expiry" if ttl_ms == NO_EXPIRY else f"{ttl_ms} ms to live"
                part.find(f"{key} is still there after the 204, with {life}", expected="gone", lines=lines)
    return part.done()


def _unlisted(section: Section, deleted: dict[str, Op]) -> Part:
    part = PartBuilder(section, "unlisted", "lists", SESSIONS)
    for op in section.ops("list", "read"):
        if op.type != "ok" or op.done is None:
            continue
        part.had += op.call.op == "list"
        shown = op.done.value or () if op.call.op == "list" else ([op.call.session] if op.done.value else [])
        for id_ in shown:
            if id_ in deleted and deleted[id_].done_no < op.call_no:
                part.find(
                    f"replica {op.pod or '?'} shows {id_} after its delete was answered",
                    expected="shown by none",
                    lines=(deleted[id_].done_no, op.done_no),
                )
    return part.done()


def _silent(section: Section, contract: Contract, deleted: dict[str, Op]) -> Part:
    """No watcher gets an event after the delete was answered, and its stream ends."""
    part = PartBuilder(section, "silent", "watchers", SESSIONS)
    if contract.websocket is None:
        part.missing = "[websocket] is not in the contract"
        return part.done()
    part.had = len({op.call.session for op in section.ops("connect") if op.type == "ok"} & set(deleted))
    for no, line in section.of("message", op="event"):
        over = deleted.get(line.session)
        late_s = seconds_between(over.done, line) if over and over.done else 0.0
        if over and late_s > IN_FLIGHT_S:
            part.find(
                f"{line.session} sent an event {late_s:.2f} s after its delete was answered",
                expected=f"none after {IN_FLIGHT_S:g} s",
                lines=(over.done_no, no),
            )
    for no, line in section.of("gave up", op="end of stream"):
        if line.data.get("session") in deleted:
            part.find(str(line.data.get("why")), expected="the stream ends with its session", lines=(no,))
    return part.done()


def _quiet(section: Section, contract: Contract, deleted: dict[str, Op]) -> Part:
    """Neither the stream in Redis nor the history grows between two looks after the delete."""
    part = PartBuilder(section, "quiet", "sessions", SESSIONS)
    if contract.http.events is None:
        part.missing = "http.events is not in the contract"
        return part.done()
    first = {op.call.session: op for op in section.ops("events after") if op.type == "ok"}
    for op in section.ops("events later"):
        before = first.get(op.call.session)
        if op.type != "ok" or before is None or op.call.session not in deleted:
            continue
        part.had += 1
        was, now = _newest(before), _newest(op)
        if was is not None and now is not None and now != was:
            part.find(
                f"the history of {op.call.session} went on after its delete: {was} -> {now}",
                expected="no new event",
                lines=(before.done_no, op.done_no),
            )
    return part.done()


def _newest(op: Op) -> str | None:
    """The last event of an answer, as text; None when there is none yet (the history may lag)."""
    value = op.done.value if op.done else None
    if isinstance(value, dict):
        value = next((v for v in value.values() if isinstance(v, list)), None)
    return json.dumps(value[-1], sort_keys=True) if isinstance(value, list) and value else None


def _stopped(section: Section, contract: Contract, deleted: dict[str, Op]) -> Part:
    """No replica says that a gadget of a deleted session runs."""
    part = PartBuilder(section, "stopped", "answers", 1)
    if contract.http.instances is None:
        part.missing = "http.instances is not in the contract"
        return part.done()
    for op in section.ops("instances"):
        if op.type != "ok" or op.done is None:
            continue
        part.had += 1
        text = json.dumps(op.done.value)
        for id_ in deleted:
            if id_ in text:
                part.find(f"a replica still runs {id_}", expected="stopped by its delete", lines=(op.done_no,))
    return part.done()


def _clean(section: Section, deleted: dict[str, Op]) -> Part:
    part = PartBuilder(section, "nothing left", "sessions", SESSIONS)
    for op in section.ops("traces"):
        if op.type != "ok" or op.done is None:
            continue
        part.had = len(deleted)
        for key, ttl_ms in op.done.value.items():
            if ttl_ms == NO_EXPIRY:
                part.find(f"{key} was left behind without expiry", expected="gone, or with a TTL", lines=(op.done_no,))
    return part.done()
