"""`restart-persistence`: no acknowledged session is lost by pod delete, pod kill, roll-out or Redis restart."""

from collections.abc import Sequence

from limpet.checkers import ledger
from limpet.checkers.ledger import Entry
from limpet.checkers.parts import PartBuilder, pods_of
from limpet.checkers.recovery import outcome, window
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Judgement, Part

SESSIONS = 100
FAULTS = ("pod delete", "pod kill", "roll-out", "Redis restart")


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `restart-persistence`: per fault, every acknowledged session against every replica's view after it."""
    book = ledger.entries(section)
    lists = [op for op in section.ops("list") if op.type == "ok"]
    reads = [op for op in section.ops("read") if op.type == "ok"]
    bounds = _rounds(section)
    parts = [_lost(section, contract, fault, bounds.get(fault), book, lists, reads) for fault in FAULTS]
    parts.append(_views(section, bounds))
    recoveries = [f"{outcome(section, fault).took_s:.1f} s" for fault in FAULTS if outcome(section, fault).recovered]
    creates = section.ops("create")
    stood_still = [f"{meanwhile.longest_s:.1f} s" for fault in FAULTS if (meanwhile := window(section, fault, creates))]
    evidence = {
        "sessions": len(book),
        "views": len(lists),
        "records read": len(reads),
        "recovered in": recoveries,
        "no create for": stood_still,
    }
    return Judgement(section.guarantee, tuple(parts), evidence=evidence, budget="0 of 100 lost per fault")


def _rounds(section: Section) -> dict[str, tuple[int, int]]:
    """Fault -> first and last line number of its round."""
    marks = [(no, line.op) for no, line in section.of("round")]
    ends = [no for no, _ in marks[1:]] + [len(section.lines) + 1]
    return {fault: (start, end) for (start, fault), end in zip(marks, ends, strict=False)}


def _lost(  # noqa: PLR0917  the ledger and the reads are built once for all rounds
    section: Section,
    contract: Contract,
    fault: str,
    bounds: tuple[int, int] | None,
    book: dict[str, Entry],
    lists: Sequence[Op],
    reads: Sequence[Op],
) -> Part:
    part = PartBuilder(section, fault, "sessions", SESSIONS)
    happened = outcome(section, fault)
    if not happened.bit:
        part.doubt = f"the fault did not bite: {happened.why or 'it was not carried out'}"
        return part.done()
    if not happened.recovered:
        part.find(
            f"the replicas did not recover from it: {happened.why}", expected="all ready again", lines=(happened.line,)
        )
        return part.done()
    start, end = bounds or (0, 0)
    ours = {id_: entry for id_, entry in book.items() if start < entry.created.call_no < end}
    after = ledger.last_looks(op for op in lists if happened.line < op.call_no < end)
    part.had = len(ours) if after else 0
    for view in after:
        _judge_view(part, view, ours, fault)
    for read in reads:
        if happened.line < read.call_no < end and read.call.session in ours:
            _judge_record(part, contract, read, ours[read.call.session], fault)
    return part.done()


def _judge_view(part: PartBuilder, view: Op, ours: dict[str, Entry], fault: str) -> None:
    shown = set(view.done.value or ()) if view.done else set()
    for id_, entry in ours.items():
        if id_ not in shown and entry.must_be_shown(view):
            part.find(
                f"{id_} was acknowledged and replica {view.pod or '?'} does not list it after {fault}",
                expected="listed by every replica",
                lines=(entry.created.done_no, view.done_no),
            )
        gone = entry.must_be_gone(view) if id_ in shown else None
        if gone:
            part.find(
                f"{id_} was deleted and replica {view.pod or '?'} lists it after {fault}",
                expected="listed by none",
                lines=(gone.done_no, view.done_no),
            )


def _judge_record(part: PartBuilder, contract: Contract, read: Op, entry: Entry, fault: str) -> None:
    if read.done and read.done.value is None:
        if entry.must_be_shown(read):
            part.find(
                f"{read.call.session} was acknowledged and replica {read.pod or '?'} answers 404 after {fault}",
                expected="its record",
                lines=(entry.created.done_no, read.done_no),
            )
        return
    allowed = entry.allowed_values(read)
    seen = ledger.updated_field(read, contract)
    if contract.http.update_field and allowed is not None and seen not in allowed:
        part.find(
            f"{read.call.session} has {contract.http.update_field} = {seen!r} after {fault}",
            expected=f"the acknowledged {allowed[-1]!r}",
            lines=(entry.updates[-1].done_no, read.done_no),
        )


def _views(section: Section, bounds: dict[str, tuple[int, int]]) -> Part:
    """After every fault, every ready replica was asked and answered."""
    part = PartBuilder(section, "every replica asked", "rounds", len(FAULTS))
    lists = {(op.call.process): op for op in section.ops("list")}
    for start, end in bounds.values():
        pods = next((pods_of(line) for no, line in section.of("pods") if start < no < end), None)
        views = [line for no, line in section.of("view") if start < no < end]
        if pods is None:
            continue
        ready = {pod["name"] for pod in pods if pod["phase"] == "ready"}
        part.had += bool(ready) and ready == {line.op for line in views}
        for line in views:
            op = lists.get(int(line.data["process"]))
            if op and op.failed:
                seen = op.data.get("status") or op.data.get("error")
                part.find(f"{line.op} is ready and its list failed: {seen}", expected="200", lines=(op.done_no,))
    return part.done()
