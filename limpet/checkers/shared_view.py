"""`shared-view`: every replica shows the same sessions; an acknowledged change is visible everywhere at once.

Each session is a register of its own (linearizability is local: Herlihy and Wing, 1990). A list is one read of each
session somewhere within its interval; it tells presence, not content. Moments are line numbers: what stands later in
the history happened later.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Literal, cast

from limpet.checkers import registers
from limpet.checkers.parts import Answerers, PartBuilder, replicas_declared
from limpet.checkers.registers import Access, Illegal
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Judgement, Part

OPERATIONS = 2000
OVERLAPPING = 200
NOT_FOUND, GONE = 404, 410
UNKNOWN_END = 1 << 60  # later than any line
OPS = ("create", "read", "update", "delete", "list")


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `shared-view` from the operations on all sessions."""
    operations = section.ops(*OPS)
    accesses = _accesses(operations, contract)
    who = Answerers(section)
    overlapping = len(set().union(*map(_overlapping, accesses.values())))
    parts = (
        _linearizable(section, operations, accesses),
        _overlap(section, overlapping),
        _lists(section, operations, accesses),
        _update(section, contract),
        _replicas(section, contract, operations, who),
    )
    evidence = {"operations": len(operations), "overlapping": overlapping, "sessions": len(accesses)}
    return Judgement(section.guarantee, parts, evidence=evidence, budget="an order for every session")


def _overlapping(accesses: Iterable[Access]) -> set[int]:
    """The lines of accesses to one session that overlap another, where one of the two changes it."""
    changes = [a for a in accesses if a.kind in ("write", "delete")]
    return {
        access.line
        for access in accesses
        for change in changes
        if access.line != change.line and access.start < change.end and change.start < access.end
    }


def _content(record: object, contract: Contract) -> str:
    """What a record says in the field that updates write, as text; nothing and emptiness are the same."""
    value = record.get(contract.http.update_field) if isinstance(record, dict) else None
    return json.dumps(value or None, sort_keys=True)


def _accesses(operations: list[Op], contract: Contract) -> dict[str, list[Access]]:
    """Session -> all accesses to it. Sessions whose create was not acknowledged are not among them."""
    creates = {op.done.session: op for op in operations if op.call.op == "create" and op.type == "ok" and op.done}
    found: dict[str, list[Access]] = {id_: [] for id_ in creates}
    for id_, op in creates.items():
        record = op.done.value if op.done else None
        found[id_].append(Access("write", op.call_no, op.done_no, _content(record, contract), line=op.done_no))
    for op in operations:
        if op.call.op == "list":
            _spread_list(op, creates, found)
        elif op.call.session in found:
            access = _access(op, contract)
            if access:
                found[op.call.session].append(access)
    return found


def _access(op: Op, contract: Contract) -> Access | None:
    """What one operation on a known session was; None when it says nothing."""
    if op.type == "fail" and op.data.get("status") in (NOT_FOUND, GONE):
        return _made("absent", op)
    match op.call.op:
        case "read" if op.type == "ok":
            return _made(*_observed(op, contract))
        case "update":
            return _made("write", op, json.dumps(op.call.value or None, sort_keys=True))
        case "delete" if op.type != "fail":
            return _made("delete", op)
        case _:
            return None


def _made(kind: registers.Kind, op: Op, value: str | None = None) -> Access:
    outcome = cast(Literal["ok", "fail", "info"], "ok" if kind == "absent" else op.type)
    end = UNKNOWN_END if op.type == "info" else op.done_no
    return Access(kind, op.call_no, end, value, outcome, op.done_no or op.call_no)


def _observed(op: Op, contract: Contract) -> tuple[registers.Kind, Op, str | None]:
    record = op.done.value if op.done else None
    if record is None:
        return "absent", op, None
    return ("read", op, _content(record, contract)) if contract.http.update_field else ("present", op, None)


def _spread_list(op: Op, creates: Mapping[str, Op], found: dict[str, list[Access]]) -> None:
    """One list as a read of every session that anybody could know by its end."""
    if op.type != "ok" or op.done is None:
        return
    shown = set(op.done.value or ())
    for id_, create in creates.items():
        if id_ in shown:
            found[id_].append(Access("present", op.call_no, op.done_no, line=op.done_no))
        elif create.call_no < op.done_no:
            found[id_].append(Access("absent", op.call_no, op.done_no, line=op.done_no))


def _linearizable(section: Section, operations: list[Op], accesses: dict[str, list[Access]]) -> Part:
    part = PartBuilder(section, "linearizable", "operations", OPERATIONS)
    part.had = sum(op.type in ("ok", "fail") for op in operations)
    for id_, ones in accesses.items():
        for illegal in registers.check(ones):
            part.find(f"{id_}: {_told(illegal)}", expected="one order of all operations", lines=_lines(illegal))
    return part.done()


def _told(illegal: Illegal) -> str:
    steps = ", ".join(f"{a.kind} {a.value}" if a.value is not None else a.kind for a in illegal.accesses)
    return f"{illegal.why} ({steps})"


def _lines(illegal: Illegal) -> tuple[int, ...]:
    return tuple(access.line for access in illegal.accesses if access.line)


def _overlap(section: Section, overlapping: int) -> Part:
    part = PartBuilder(section, "overlapping", "operations that overlap a change of the same session", OVERLAPPING)
    part.had = overlapping
    return part.done()


def _lists(section: Section, operations: list[Op], accesses: dict[str, list[Access]]) -> Part:
    """A list has no id twice, and none that nobody created."""
    part = PartBuilder(section, "lists", "lists", 1)
    known = set(accesses)
    for op in section.ops("baseline"):
        known |= _ids(op.done.value if op.done else None)
    untold = sum(op.call.op == "create" and op.type == "info" for op in operations)
    strange: dict[str, int] = {}
    for op in operations:
        if op.call.op != "list" or op.type != "ok" or op.done is None:
            continue
        part.had += 1
        shown: list[str] = op.done.value or []
        twice = {id_ for id_ in shown if shown.count(id_) > 1} if len(set(shown)) < len(shown) else ()
        for id_ in twice:
            part.find(f"a list has {id_} twice", expected="each session once", lines=(op.done_no,))
        for id_ in shown:
            if id_ not in known:
                strange.setdefault(id_, op.done_no)
    # an id that nobody was told of may come from a create of unknown outcome
    for id_, line in list(strange.items())[untold:]:
        part.find(f"a list has {id_}, which nobody created", expected="sessions that were created", lines=(line,))
    return part.done()


def _ids(listed: object) -> set[str]:
    items = listed if isinstance(listed, list) else []
    texts = (item.values() for item in items if isinstance(item, dict))
    return {value for values in texts for value in values if isinstance(value, str)}


def _update(section: Section, contract: Contract) -> Part:
    """Only says whether updates could be part of it."""
    part = PartBuilder(section, "update", "updates", 1)
    if contract.http.update is None or contract.http.update_field is None:
        part.missing = "http.update is not in the contract"
    part.had = sum(op.type == "ok" for op in section.ops("update"))
    return part.done()


def _replicas(section: Section, contract: Contract, operations: list[Op], who: Answerers) -> Part:
    """Every replica took part."""
    declared = replicas_declared(section)
    part = PartBuilder(section, "replicas", "replicas", max(declared, 1))
    through = {who.of(op) for op in operations} - {""}
    part.had = len(through)
    part.missing = Answerers.missing(contract)
    return part.done()
