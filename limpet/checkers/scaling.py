"""`scaling`: 2 -> 3 -> 5 -> 2 under traffic: registrations follow, new replicas take work, nothing is lost or fails."""

from collections import Counter

from limpet.checkers import ledger
from limpet.checkers.membership import judge_settled, looks_at
from limpet.checkers.parts import Answerers, PartBuilder, pods_of
from limpet.contract import Contract
from limpet.history import Line, Section
from limpet.verdict import Judgement, Part

STEPS = (2, 3, 5, 2)
BURST_PER_REPLICA = 12
TRAFFIC = 200  # rounds of one client at the most
REQUESTS = 100
NEW_WORK = 100
KEPT = 30
SLACK_S = 2.0
NOT_FOUND = 404
CHANCE_MAX = 1e-5  # of blaming replicas that only had no luck


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `scaling` from the steps, the heartbeats after them, and the traffic around them."""
    who = _Workers(section)
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
            "/".join(map(str, sorted(who.shares(no, end).values()))) for no, end, _ in _steps(section)
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
    ttl_s = contract.timing.heartbeat_ttl_s
    if contract.redis.heartbeat is None or ttl_s is None:
        part.missing = "redis.heartbeat or timing.heartbeat_ttl_s is not in the contract"
        return part.done()
    looks = looks_at(section)
    for no, end, replicas in _steps(section):
        after = [look for look in looks if no < look.op.call_no < end]
        pods = next((pods_of(line) for n, line in section.of("pods") if n > no), [])
        instances = [pod["instance"] for pod in pods] or [""] * replicas
        judge_settled(part, after, instances, (no, section.lines[no - 1]), ttl_s)
    return part.done()


class _Workers:
    """Which replica does the work of a new session: its owner, where that can be seen, else the one that answered."""

    def __init__(self, section: Section) -> None:
        self._answerers = Answerers(section)
        looks = [(op.call.session, op.done.value) for op in section.ops("look") if op.type == "ok" and op.done]
        self._made = [op for op in section.ops("new work") if op.type == "ok" and op.done]
        self._owners = {session: seen["owners"][0] for session, seen in looks if len(seen.get("owners", ())) == 1}

    def shares(self, start: int, end: int) -> Counter[str]:
        """How many of the new sessions between two lines each replica works on."""
        made = [op for op in self._made if start < op.call_no < end]
        workers = (self._owners.get(op.done.session if op.done else "") or self._answerers.of(op) for op in made)
        return Counter(worker for worker in workers if worker)


def _new_work(section: Section, contract: Contract, who: _Workers) -> Part:
    """Replicas that came with a step get some of the sessions that new clients start after it."""
    part = PartBuilder(section, "new work", "sessions", NEW_WORK)
    part.missing = Answerers.missing(contract)
    known: set[str] = set()
    before = 0
    for no, end, replicas in _steps(section) if not part.missing else ():
        shares = who.shares(no, end)
        part.had += shares.total()
        new, came = set(shares) - known, max(replicas - before, 0)
        # where sessions go by chance, some replica may get none of a few
        if len(new) < came and came * (1 - 1 / replicas) ** shares.total() < CHANCE_MAX:
            part.find(
                f"{len(new)} of {came} new replicas got any of {shares.total()} new sessions",
                expected="all of them",
                lines=(no,),
            )
        known |= set(shares)
        before = replicas
    return part.done()


def _kept(section: Section) -> Part:
    """Every acknowledged session is listed by every replica that is left, and can be read."""
    part = PartBuilder(section, "nothing lost", "sessions", KEPT)
    book = ledger.entries(section)
    part.had = len(book)
    views = {int(line.data["process"]): line for _, line in section.of("view")}
    told = (op for op in section.ops("list") if op.call.process in views and op.type == "ok" and op.done)
    lists = ledger.last_looks(told)
    if len({op.call.process for op in lists}) < STEPS[-1]:
        part.doubt = f"{len(lists)} of {STEPS[-1]} replicas told their list at the end"
    for op in lists:
        shown = set(op.done.value or ()) if op.done else set()
        for id_, entry in book.items():
            if id_ not in shown and entry.must_be_shown(op):
                part.find(
                    f"{id_} was acknowledged and {views[op.call.process].op} does not list it",
                    expected="listed by every replica",
                    lines=(entry.created.done_no, op.done_no),
                )
    for op in section.ops("read"):
        known = book.get(op.call.session)
        if known and op.data.get("status") == NOT_FOUND and known.must_be_shown(op):
            part.find(
                f"{op.call.session} was acknowledged and is not found",
                expected="to be found at every replica",
                lines=(known.created.done_no, op.done_no),
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
            step: Line | None = next((phase[n] for n in reversed(phase) if n < op.call_no), None)
            seen = f"{op.data.get('status', '')} {op.data.get('text', op.data.get('error', ''))}".strip()
            part.find(
                f"{op.call.op} failed on the way to {step.op if step else '?'} replicas: {seen}",
                expected="2xx",
                lines=(op.call_no, op.done_no),
            )
    return part.done()
