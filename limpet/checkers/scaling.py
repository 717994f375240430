"""`scaling`: 2 -> 3 -> 5 -> 2 under traffic: registrations follow, new replicas take work, nothing is lost or fails."""

from collections import Counter

from limpet.checkers import ledger
from limpet.checkers.parts import Answerers, PartBuilder, pods_of
from limpet.contract import Contract
from limpet.history import Line, Section, seconds_between
from limpet.verdict import Judgement, Part

STEPS = (2, 3, 5, 2)
BURST_PER_REPLICA = 12
TRAFFIC = 200  # rounds of one client at the most
REQUESTS = 100
KEPT = 30
SLACK_S = 2.0


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `scaling` from the steps, the heartbeats after them, and the traffic around them."""
    who = Answerers(section)
    traffic = section.ops("create", "read", "list", "delete")
    parts = (
        _ready(section),
        _registered(section, contract),
        _new_work(section, contract, who),
        _kept(section),
        _failed(section),
    )
    evidence = {
        "steps": " -> ".join(map(str, STEPS)),
        "requests": len(traffic),
        "new work": "; ".join(
            "/".join(map(str, sorted(_shares(section, who, no, end).values()))) for no, end, _ in _steps(section)
        ),
    }
    return Judgement(section.guarantee, parts, evidence=evidence, budget="0 failed, 0 lost")


def _steps(section: Section) -> list[tuple[int, int, int]]:
    """(line of `scaled`, line where the next step begins, replicas) of each step that was reached."""
    starts = [no for no, _ in section.of("scale")] + [len(section.lines) + 1]
    return [
        (no, next((start for start in starts if start > no), len(section.lines) + 1), int(line.op))
        for no, line in section.of("scaled")
    ]


def _ready(section: Section) -> Part:
    part = PartBuilder(section, "ready", "steps", len(STEPS))
    part.had = len(_steps(section))
    for no, line in section.of("not scaled"):
        part.find(f"not {line.op} ready replicas: {line.data.get('why')}", expected=f"{line.op} ready", lines=(no,))
    return part.done()


def _registered(section: Section, contract: Contract) -> Part:
    """After each step exactly the live replicas have a heartbeat: new ones at once, those that left within the TTL."""
    part = PartBuilder(section, "registered", "steps", len(STEPS))
    if contract.redis.heartbeat is None or contract.timing.heartbeat_ttl_s is None:
        part.missing = "redis.heartbeat or timing.heartbeat_ttl_s is not in the contract"
        return part.done()
    looks = [op for op in section.ops("heartbeats") if op.type == "ok" and op.done]
    for no, end, replicas in _steps(section):
        after = [op for op in looks if no < op.call_no < end]
        if not after:
            continue
        part.had += 1
        last = after[-1]
        seen = set(last.done.value or ()) if last.done else set()
        pods = next((pods_of(line) for n, line in section.of("pods") if n > no), [])
        expected = {pod["instance"] for pod in pods if pod["instance"]}
        if len(seen) != replicas or (expected and seen != expected):
            took_s = seconds_between(section.lines[no - 1], last.done or section.lines[-1])
            part.find(
                f"{len(seen)} heartbeats {took_s:.1f} s after {replicas} replicas were ready",
                expected=f"those of the {replicas} replicas, within {contract.timing.heartbeat_ttl_s:g} s",
                lines=(no, last.done_no),
            )
    return part.done()


def _shares(section: Section, who: Answerers, start: int, end: int) -> Counter[str]:
    ops = [op for op in section.ops("new work") if op.type == "ok" and start < op.call_no < end]
    return Counter(pod for op in ops if (pod := who.of(op)))


def _new_work(section: Section, contract: Contract, who: Answerers) -> Part:
    """Every replica gets some of the sessions that new clients start after a step."""
    part = PartBuilder(section, "new work", "sessions", BURST_PER_REPLICA * sum(STEPS))
    part.missing = Answerers.missing(contract)
    for no, end, replicas in _steps(section) if not part.missing else ():
        shares = _shares(section, who, no, end)
        part.had += shares.total()
        if shares and len(shares) < replicas:
            part.find(
                f"{len(shares)} of {replicas} replicas got any of {shares.total()} new sessions",
                expected="all of them",
                lines=(no,),
            )
    return part.done()


def _kept(section: Section) -> Part:
    part = PartBuilder(section, "nothing lost", "sessions", KEPT)
    book = ledger.entries(section)
    views = {int(line.data["process"]): line for _, line in section.of("view")}
    for op in section.ops("list"):
        if op.call.process not in views or op.type != "ok" or op.done is None:
            continue
        part.had = len(book)
        shown = set(op.done.value or ())
        for id_, entry in book.items():
            if id_ not in shown and entry.must_be_shown(op):
                part.find(
                    f"{id_} was acknowledged and {views[op.call.process].op} does not list it",
                    expected="listed by every replica",
                    lines=(entry.created.done_no, op.done_no),
                )
    return part.done()


def _failed(section: Section) -> Part:
    """Nothing fails that did not fail in the same way before anything was scaled."""
    part = PartBuilder(section, "no failed request", "requests", REQUESTS)
    phase = dict(section.of("scale"))
    steady_end = next((no for no in list(phase)[1:]), len(section.lines) + 1)
    usual: set[tuple[str, object]] = set()
    for op in section.ops("create", "read", "list", "delete", "update", "new work"):
        part.had += 1
        kind = ("create" if op.call.op == "new work" else op.call.op, op.data.get("status", op.data.get("error")))
        if op.failed and op.call_no < steady_end:
            usual.add(kind)
        elif op.failed and kind not in usual:
            step: Line | None = phase[max(n for n in phase if n < op.call_no)] if phase else None
            seen = f"{op.data.get('status', '')} {op.data.get('text', op.data.get('error', ''))}".strip()
            part.find(
                f"{op.call.op} failed on the way to {step.op if step else '?'} replicas: {seen}",
                expected="2xx",
                lines=(op.call_no, op.done_no),
            )
    return part.done()
