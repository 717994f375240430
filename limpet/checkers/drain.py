"""`drain`: a replica asked to stop finishes requests, hands over its sessions and closes streams with 1012.

Judged by a roll-out under load. The replica is not ready from then on, for new requests are to go to others; what it
was asked before it answers; who watched here is told to come back (1012) and misses nothing; its sessions go on
elsewhere without an interruption, as far as their source can be handed over, which the one of `http.body` has to be.
When it has gone, within its grace period, nothing in Redis names it.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from limpet.checkers.agreement import of_session
from limpet.checkers.connections import Leg, legs
from limpet.checkers.delivery import Flaw, of_leg
from limpet.checkers.membership import looks_at
from limpet.checkers.parts import Answerers, PartBuilder
from limpet.checkers.recovery import outcome
from limpet.contract import Contract
from limpet.history import Line, Op, Section, seconds_between
from limpet.verdict import Judgement, Part

FAULT = "roll-out"
REPLICAS = 2  # that have to be asked to stop
SESSIONS = 12
WATCHERS_EACH = 2
REQUESTS = 100
SLOW_EACH = 3  # requests that each replica has under way when it is asked to stop
UNDER_WAY = 2 * REPLICAS
MESSAGES = 500
UNREADY_WITHIN_S = 0.5
RESTARTING, ENDED = 1012, 1000
OK = 200
KILLED = -9
CALLS = ("create", "read", "update", "list", "delete", "connect")


@dataclass(frozen=True, slots=True)
class Stop:
    """One replica from when it was asked to stop. `ended` is None while it has not; `status` is how it ended."""

    pod: str
    instance: str
    asked_no: int
    asked: Line
    ended_no: int = 0
    ended: Line | None = None

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it is there."""
        status = self.ended.data.get("status") if self.ended else None
        return status if isinstance(status, int) else None


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `drain` from the requests, the streams and the replicas' ends around a roll-out."""
    stops = _stops(section)
    every = legs(section)
    parts = (
        _in_time(section, contract, stops),
        _answered(section),
        _under_way(section, contract, stops),
        _unready(section, contract, stops),
        _closes(section, contract, every),
        _uninterrupted(section, contract, stops, every),
        _complete(section, contract, every),
        _gone(section, contract, stops),
    )
    took = [seconds_between(stop.asked, stop.ended) for stop in stops if stop.ended]
    pauses = sorted(_pauses_ms(every)) or [0.0]
    evidence = {
        "replicas": len(stops),
        "drained in": [f"{one:.1f} s" for one in took],
        "requests": len(_meanwhile(section)),
        "streams closed": sum(leg.code == RESTARTING for leg in every),
        **(
            {"pause_ms_p95": round(pauses[len(pauses) * 95 // 100]), "pause_ms_max": round(pauses[-1])}
            if pauses
            else {}
        ),
    }
    budget = f"0 failed, 0 interruptions, 0 closes but {RESTARTING}"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def _stops(section: Section) -> list[Stop]:
    found: dict[str, Stop] = {}
    for no, line in section.of("pod"):
        name = str(line.data.get("name"))
        if line.op == "asked to stop":
            found[name] = Stop(name, str(line.data.get("instance") or ""), no, line)
        elif line.op == "exited" and name in found:
            stop = found[name]
            found[name] = Stop(name, stop.instance, stop.asked_no, stop.asked, no, line)
    return list(found.values())


def _in_time(section: Section, contract: Contract, stops: list[Stop]) -> Part:
    """Every old replica goes by itself within its grace period, and the new ones are there."""
    part = PartBuilder(section, "in time", "replicas", REPLICAS)
    happened = outcome(section, FAULT)
    grace_s = contract.timing.grace_period_s
    part.had = sum(stop.ended is not None for stop in stops)
    if not happened.bit:
        part.doubt = f"the roll-out did not come about: {happened.why or 'it was not carried out'}"
    elif not happened.recovered:
        seen = f"the replicas did not recover from it: {happened.why}"
        part.find(seen, expected="all replaced and ready", lines=(happened.line,))
    for stop in stops:
        if stop.ended and stop.status == KILLED:
            took_s = seconds_between(stop.asked, stop.ended)
            seen = f"{stop.pod} was asked to stop and had to be killed after {took_s:.1f} s"
            part.find(seen, expected=f"gone by itself within {grace_s:g} s", lines=(stop.asked_no, stop.ended_no))
    return part.done()


def _began(section: Section) -> int:
    """Where the roll-out began; beyond the end without one."""
    lines = section.of("fault", op="inject")
    return next((no for no, line in lines if line.data.get("fault") == FAULT), len(section.lines) + 1)


def _meanwhile(section: Section) -> list[Op]:
    """Requests that came back after the roll-out began."""
    began = _began(section)
    return [op for op in section.ops(*CALLS) if op.done_no > began]


def _answered(section: Section) -> Part:
    """Nothing fails that did not fail in the same way before."""
    part = PartBuilder(section, "no failed request", "requests", REQUESTS)
    began = _began(section)
    usual = {_kind(op) for op in section.ops(*CALLS) if op.failed and op.done_no < began}
    for op in _meanwhile(section):
        part.had += 1
        if op.failed and _kind(op) not in usual:
            part.find(f"{op.call.op} failed: {_said(op)}", expected="an answer", lines=(op.call_no, op.done_no))
    return part.done()


def _kind(op: Op) -> tuple[str, object]:
    return op.call.op, op.data.get("status", op.data.get("error"))


def _said(op: Op) -> str:
    return f"{op.data.get('status', '')} {op.data.get('text', op.data.get('error', ''))}".strip()


def _under_way(section: Section, contract: Contract, stops: list[Stop]) -> Part:
    """A request whose second half came after its replica was asked to stop is answered like any other."""
    part = PartBuilder(section, "requests under way", "requests", UNDER_WAY)
    nameless = bool(stops) and not any(stop.instance for stop in stops)
    part.missing = Answerers.missing(contract) or ("no log names the replicas" if nameless else "")
    who = Answerers(section)
    asked = {stop.instance: stop for stop in stops}
    had = dict.fromkeys(asked, 0)
    for op in section.ops("slow create") if not part.missing else ():
        if op.failed:
            part.find(
                f"a request that was under way failed: {_said(op)}", expected="2xx", lines=(op.call_no, op.done_no)
            )
        stop = asked.get(who.of(op))
        if stop and op.call_no < stop.asked_no < op.done_no:
            had[stop.instance] += 1
    part.had = sum(had.values())
    idle = [asked[instance].pod for instance, count in had.items() if not count]
    if idle:
        part.doubt = f"nothing was under way at {', '.join(idle)}"
    return part.done()


def _unready(section: Section, contract: Contract, stops: list[Stop]) -> Part:
    """Asked whether it is ready, a replica that stops says no, or nothing."""
    part = PartBuilder(section, "not ready", "replicas", REPLICAS)
    part.missing = "" if contract.http.ready else "http.ready is not in the contract"
    asks = section.ops("ready")
    for stop in stops if not part.missing else ():
        after = [op for op in asks if op.call.value == stop.pod and op.call_no > stop.asked_no and op.done]
        late = [op for op in after if seconds_between(stop.asked, op.call) > UNREADY_WITHIN_S]
        part.had += any(op.data.get("status") != OK for op in after)
        wrong = [op for op in late if op.data.get("status") == OK]
        if wrong:
            after_s = seconds_between(stop.asked, wrong[0].call)
            seen = f"{stop.pod} was asked to stop and said {after_s:.1f} s later that it is ready"
            part.find(seen, expected="503", lines=(stop.asked_no, wrong[0].done_no))
    return part.done()


def _closes(section: Section, contract: Contract, every: list[Leg]) -> Part:
    """A stream whose session goes on is closed with 1012 and in no other way."""
    part = PartBuilder(section, "close code", "streams", SESSIONS * WATCHERS_EACH)
    part.missing = "" if contract.websocket else "[websocket] is not in the contract"
    began = _began(section)
    deletes = {op.call.session: op.call_no for op in section.ops("delete")}
    for leg in every if not part.missing else ():
        if leg.code is None or leg.closed is None or leg.closed[0] < began:
            continue
        if leg.code == RESTARTING:
            part.had += 1
        elif leg.closed[0] < deletes.get(leg.session, len(section.lines)):
            code = leg.closed[1].data.get("code")
            how = f"closed with {code}" if code else "cut off without a close"
            part.find(
                f"a watcher of {leg.session} was {how}",
                expected=f"closed with {RESTARTING}",
                lines=(leg.opened[0], leg.closed[0]),
            )
    return part.done()


def _uninterrupted(section: Section, contract: Contract, stops: list[Stop], every: list[Leg]) -> Part:
    """Every session goes on after its replica has gone, and nothing is said to have been missed on the way."""
    part = PartBuilder(section, "handed over", "sessions", SESSIONS)
    part.missing = "" if contract.websocket else "[websocket] is not in the contract"
    if part.missing:
        return part.done()
    over = max((stop.ended_no for stop in stops), default=len(section.lines))
    alive: set[str] = set()
    told: set[tuple[str, str, object]] = set()
    for leg in every:
        for no, line in leg.messages:
            if line.op == "event" and no > over:
                alive.add(leg.session)
            elif line.op == "interruption" and (leg.session, leg.stream, line.value) not in told:
                told.add((leg.session, leg.stream, line.value))  # once, however many watch
                seen = f"{leg.session} was interrupted: {line.data.get('reason') or 'no reason given'}"
                part.find(seen, expected="no interruption", lines=(no,))
    part.had = len(alive)
    return part.done()


def _complete(section: Section, contract: Contract, every: list[Leg]) -> Part:
    """Everything that `continuity` asks of streams holds through the roll-out."""
    part = PartBuilder(section, "nothing lost", "messages", MESSAGES)
    stream = contract.websocket
    part.missing = "" if stream and stream.seq else "websocket.seq is not in the contract"
    if part.missing:
        return part.done()
    part.had = sum(len(leg.numbered) for leg in every)
    for flaw in _flaws(section, every):
        part.find(flaw.seen, expected=flaw.expected, lines=flaw.lines)
    return part.done()


def _flaws(section: Section, every: list[Leg]) -> Iterator[Flaw]:
    by_session: dict[str, list[Leg]] = defaultdict(list)
    for leg in every:
        by_session[leg.session].append(leg)
    deletes = {op.call.session: op for op in section.ops("delete") if op.type == "ok"}
    yield from chain.from_iterable(map(of_leg, every))
    for session, several in by_session.items():
        yield from of_session(section, several, deletes.get(session))


def _gone(section: Section, contract: Contract, stops: list[Stop]) -> Part:
    """No heartbeat, no owned session and no watched one names a replica that has gone."""
    part = PartBuilder(section, "nothing left behind", "looks", SESSIONS)
    keys = contract.redis
    if not (keys.heartbeat or keys.owned or keys.websocket):
        part.missing = "redis.heartbeat, redis.owned and redis.websocket are not in the contract"
        return part.done()
    gone = {stop.instance: stop for stop in stops if stop.instance and stop.ended}
    for look in looks_at(section):
        for instance in sorted(gone.keys() & look.seen.keys()):
            stop = gone[instance]
            if look.op.call_no > stop.ended_no:
                lines = (stop.ended_no, look.op.done_no)
                part.find(f"{stop.pod} has gone and its heartbeat is there", expected="no key of it", lines=lines)
    for op in section.ops("look"):
        if op.type != "ok" or op.done is None:
            continue
        part.had += 1
        seen = op.done.value
        named = {*seen.get("owners", ()), str(seen.get("websocket"))}
        for stop in (gone[instance] for instance in sorted(gone.keys() & named)):
            if op.call_no > stop.ended_no:
                what = f"{stop.pod} has gone and still has {op.call.session}"
                part.find(what, expected="no key of it", lines=(stop.ended_no, op.done_no))
    return part.done()


def _pauses_ms(every: list[Leg]) -> Iterator[float]:
    """Of each watcher that was told to come back, the time between its last event and its next one."""
    by_watcher: dict[tuple[int, str], list[Leg]] = defaultdict(list)
    for leg in every:
        by_watcher[leg.watcher, leg.session].append(leg)
    for several in by_watcher.values():
        for before, after in pairwise(several):
            last = next((line for _, line in reversed(before.messages) if line.op == "event"), None)
            next_ = next((line for _, line in after.messages if line.op == "event"), None)
            if before.code == RESTARTING and last and next_:
                yield seconds_between(last, next_) * 1000
