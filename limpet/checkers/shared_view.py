"""`shared-view`: every replica shows the same sessions; an acknowledged change is visible everywhere at once.

Each session is a register of its own (linearizability is local: Herlihy and Wing, 1990). A list is one read of each
session somewhere within its interval; it tells presence, not content. Moments are line numbers: what stands later in
the history happened later.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from limpet.checkers import ledger, registers
from limpet.checkers.parts import Answerers, PartBuilder, replicas_declared
from limpet.checkers.registers import Access, Illegal
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Judgement, Part

OPERATIONS = 2000
OVERLAPPING = 200
NOT_FOUND, GONE = 404, 410
BROKEN = 500
UNKNOWN_END = 1 << 60  # later than any line
OPS = ("create", "read", "update", "delete", "list")


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `shared-view` from the operations on all sessions."""
    operations = section.ops(*OPS)
    creates = _creates(operations)
    accesses = _accesses(operations, creates, contract)
    who = Answerers(section)
    overlapping = len(set().union(*map(_overlapping, accesses.values())))
    parts = (
        _linearizable(section, operations, creates, accesses),
        _overlap(section, overlapping),
        _lists(section, operations, contract),
        _answered(section, operations),
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


@dataclass(frozen=True, slots=True)
class _Content:
    """How the contents of records are told apart: by what updates write, since a backend may keep more beside that."""

    field: str | None
    keys: frozenset[str]

    @classmethod
    def of(cls, operations: list[Op], contract: Contract) -> "_Content":
        written = [op.call.value for op in operations if op.call.op == "update" and isinstance(op.call.value, dict)]
        return cls(contract.http.update_field, frozenset(key for value in written for key in value))

    def text(self, value: object) -> str:
        """A value of the field, as text; nothing and emptiness are the same."""
        if isinstance(value, dict) and self.keys:
            value = {key: value[key] for key in self.keys if key in value}
        return json.dumps(value or None, sort_keys=True)

    def read(self, record: object) -> str:
        """What a record says in the field."""
        return self.text(record.get(self.field) if isinstance(record, dict) and self.field else None)


def _creates(operations: list[Op]) -> dict[str, list[Op]]:
    """Session -> the creates that were answered with it, which should be one."""
    found: dict[str, list[Op]] = defaultdict(list)
    for op in operations:
        if op.call.op == "create" and op.type == "ok" and op.done and op.done.session:
            found[op.done.session].append(op)
    return found


def _accesses(operations: list[Op], creates: Mapping[str, list[Op]], contract: Contract) -> dict[str, list[Access]]:
    """Session -> all accesses to it. Sessions whose create was not acknowledged are not among them."""
    content = _Content.of(operations, contract)
    tries = {op.call.value: op for op in reversed(operations) if op.call.op == "create" and op.call.value}
    found: dict[str, list[Access]] = {}
    for id_, (op, *_) in creates.items():
        # a create that is tried again with its key may have happened the first time
        begun, record = tries.get(op.call.value, op).call_no, op.done.value if op.done else None
        found[id_] = [Access("write", begun, op.done_no, content.read(record), line=op.done_no)]
    for op in operations:
        if op.call.op == "list":
            _spread_list(op, found)
        elif op.call.session in found:
            access = _access(op, content)
            if access:
                found[op.call.session].append(access)
    return found


def _access(op: Op, content: _Content) -> Access | None:
    """What one operation on a known session was; None when it says nothing."""
    if op.type == "fail" and op.data.get("status") in (NOT_FOUND, GONE):
        return _made("absent", op)
    record = op.done.value if op.done else None
    match op.call.op:
        case "read" if op.type == "ok" and record is None:
            return _made("absent", op)
        case "read" if op.type == "ok":
            return _made("read", op, content.read(record)) if content.field else _made("present", op)
        case "update":
            return _made("write", op, content.text(op.call.value))
        case "delete" if op.type != "fail":
            return _made("delete", op)
        case _:
            return None


def _made(kind: registers.Kind, op: Op, value: str | None = None) -> Access:
    outcome = cast(Literal["ok", "fail", "info"], "ok" if kind == "absent" else op.type)
    end = UNKNOWN_END if op.type == "info" else op.done_no
    return Access(kind, op.call_no, end, value, outcome, op.done_no or op.call_no)


def _spread_list(op: Op, found: dict[str, list[Access]]) -> None:
    """One list as a read of every session that anybody could know by its end."""
    if op.type != "ok" or op.done is None:
        return
    shown = set(op.done.value or ())
    for id_, accesses in found.items():
        if id_ in shown:
            accesses.append(Access("present", op.call_no, op.done_no, line=op.done_no))
        elif accesses[0].start < op.done_no:
            accesses.append(Access("absent", op.call_no, op.done_no, line=op.done_no))


def _linearizable(
    section: Section, operations: list[Op], creates: Mapping[str, list[Op]], accesses: dict[str, list[Access]]
) -> Part:
    part = PartBuilder(section, "linearizable", "operations", OPERATIONS)
    part.had = sum(op.type in ("ok", "fail") for op in operations)
    for id_, (one, *more) in creates.items():
        for other in more:
            if other.call.value is None or other.call.value != one.call.value:
                part.find(f"{id_} is what two creates were answered with", expected="a session of its own for each",
                          lines=(one.done_no, other.done_no))  # fmt: skip
    for id_, ones in accesses.items():
        try:
            for illegal in registers.check(ones):
                part.find(f"{id_}: {_told(illegal)}", expected="one order of all operations", lines=_lines(illegal))
        except ValueError as error:
            part.doubt = f"{id_}: {error}"
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


def _lists(section: Section, operations: list[Op], contract: Contract) -> Part:
    """A list has no session twice that was there all the time, and none that nobody created."""
    part = PartBuilder(section, "lists", "lists", 1)
    book = ledger.entries(section)
    strange: dict[str, int] = {}
    known = {line.session for line in section.lines}
    for op in operations:
        if op.call.op != "list" or op.type != "ok" or op.done is None:
            continue
        part.had += 1
        shown: list[str] = op.done.value or []
        for id_, times in Counter(shown).items():
            if times > 1 and id_ in book and book[id_].must_be_shown(op):
                part.find(f"a list has {id_} {times} times", expected="each session once", lines=(op.done_no,))
            if id_ not in known:
                strange.setdefault(id_, op.done_no)
    if not any(line.data.get("fresh") for _, line in section.of("target")):
        return part.done()  # sessions of others may have been there before, and may come
    # an id that nobody was told of may come from a create of unknown outcome
    for id_, line_no in list(strange.items())[_untold(section, contract) :]:
        part.find(f"a list has {id_}, which nobody created", expected="sessions that were created", lines=(line_no,))
    return part.done()


def _untold(section: Section, contract: Contract) -> int:
    """How many sessions there may be that nobody was told of."""
    creates = section.ops("create", "visit")
    told = {op.call.value for op in creates if op.type == "ok" and contract.http.idempotency_header}
    return sum(op.type == "info" and (op.call.value is None or op.call.value not in told) for op in creates)


def _answered(section: Section, operations: list[Op]) -> Part:
    """No replica breaks over what is done at the same time; one that is too busy says so, and is no worse than slow."""
    part = PartBuilder(section, "answered", "operations", 1)
    for op in operations:
        part.had += op.done is not None
        if op.data.get("status") == BROKEN:
            part.find(
                f"{op.call.op} was answered {BROKEN} {op.data.get('text', '')}".rstrip(),
                expected="done, refused, or put off by one that is too busy",
                lines=(op.call_no, op.done_no),
            )
    return part.done()


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
    part.had = len({who.of(op) for op in operations} - {""})
    part.missing = "" if contract.http.instance_header else "http.instance_header is not in the contract"
    return part.done()
