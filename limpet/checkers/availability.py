"""`availability`: losing one of several replicas fails only requests in flight or bound to it, for at most 1 s.

The time counts from when the ingress stopped listing the replica: until then it goes on sending it requests. A request
counts by when it was sent. Which replica a client is bound to is what answered it last, if it keeps its cookie. Who
creates, reads or lists at another replica must not notice anything: no failure, and no answer that is seconds late. An
update or a delete there may concern a session of the lost one.

A replica is lost in three ways: killed, cut off from its Redis, stopped. One that cannot serve has to say so:
if it goes on saying that it is ready, it stays listed and goes on failing requests, and these are findings.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from limpet.checkers.parts import Answerers, PartBuilder, replicas_declared
from limpet.checkers.recovery import Outcome, outcome
from limpet.contract import Contract
from limpet.history import Line, Op, Section, seconds_between
from limpet.verdict import Judgement, Part

FAULTS = ("pod kill", "cut off from Redis", "pod pause")
REQUESTS = 20  # while a fault lasts
QUIET = 30  # requests outside of faults
WINDOW_S = 1.0
PATIENCE_S = 6.0  # for which a client waits for its answer
LATE_S = 3.0  # for what needs no other replica, by a replica that was not lost
CALLS = ("create", "read", "update", "list", "delete")
ALONE = ("create", "read", "list")  # the others may need a lost owner, or the lock that it held
UNLISTED = ("left the ingress", "unlisted")  # when the ingress said so; where nobody asked it, when it was told
OVER = ("recovered", "not recovered")


@dataclass(frozen=True, slots=True)
class Loss:
    """One fault from its injection to recovery, by lines of the history.

    Attributes:
        instance: of the replica that was lost, "" where that is not known.
        unlisted: when the ingress stopped sending requests to it, None if it never did.
    """

    fault: str
    pod: str
    instance: str
    began_no: int
    began: Line
    over_no: int
    unlisted_no: int
    unlisted: Line | None

    def has(self, op: Op) -> bool:
        """Whether a request was under way in that time."""
        return op.call_no < self.over_no and op.done_no > self.began_no

    def after_s(self, op: Op) -> float:
        """How long after the replica was unlisted (lost, if it never was) a request was sent; negative before."""
        return seconds_between(self.unlisted or self.began, op.call)


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `availability` from the requests around each loss."""
    ops = section.ops(*CALLS)
    bound = _bound(section, ops)
    losses = {loss.fault: loss for loss in _losses(section)}  # of each fault the last one
    parts = [_lost(section, contract, fault, losses.get(fault), ops, bound) for fault in FAULTS]
    parts.append(_quiet(section, losses.values(), ops))
    evidence: dict[str, object] = {"requests": len(ops)}
    evidence |= {fault: _story(losses[fault], ops) for fault in FAULTS if fault in losses}
    budget = f"only what is bound to the lost one, sent within {WINDOW_S:g} s"
    return Judgement(section.guarantee, tuple(parts), evidence=evidence, budget=budget)


def _losses(section: Section) -> Iterator[Loss]:
    steps = list(section.of("fault"))
    for no, line in section.of("struck"):
        ours = [(n, step) for n, step in steps if step.data.get("fault") == line.op and n > no]
        began = next(((n, step) for n, step in ours if step.op == "inject"), None)
        if began is None:
            continue
        over_no = next((n for n, step in ours if step.op in OVER), len(section.lines) + 1)
        pod = str(line.data.get("pod"))
        events = {
            event.op: (n, event)
            for n, event in section.of("pod")
            if began[0] < n < over_no and event.data.get("name") == pod and event.op in UNLISTED
        }
        unlisted_no, event = next((events[op] for op in UNLISTED if op in events), (0, None))
        yield Loss(line.op, pod, str(line.data.get("instance") or ""), *began, over_no, unlisted_no, event)


def _bound(section: Section, ops: Sequence[Op]) -> Mapping[int, str]:
    """Line of a request -> the replica that its client was bound to, where it was to one and that is known."""
    clients = {line.data.get("process"): line.data for _, line in section.of("client")}
    known = {client.get("number"): str(client.get("bound") or "") for client in clients.values()}
    by_client: dict[object, list[Op]] = defaultdict(list)
    for op in ops:
        client = clients.get(op.call.process)
        if client and client.get("sticky"):
            by_client[client.get("number")].append(op)
    who = Answerers(section)
    found: dict[int, str] = {}
    for number, several in by_client.items():
        last = known.get(number, "")
        for op in several:
            found[op.call_no] = last
            last = (who.of(op) if op.type == "ok" else "") or last
    return found


def _lost(  # noqa: PLR0917  the requests are read once for all faults
    section: Section, contract: Contract, fault: str, loss: Loss | None, ops: Sequence[Op], bound: Mapping[int, str]
) -> Part:
    """What failed while this fault lasted, and whom it may have failed for."""
    part = PartBuilder(section, fault, "requests", REQUESTS)
    happened = outcome(section, fault)
    part.doubt = "there is one replica and no other" if replicas_declared(section) == 1 else _doubt(loss, happened)
    if loss is None or part.doubt:
        return part.done()
    if not happened.recovered:
        why = f"the replicas did not recover from it: {happened.why}"
        part.find(why, expected="all ready again", lines=(happened.line,))
    meanwhile = [op for op in ops if loss.has(op)]
    part.had = len([op for op in meanwhile if op.done])
    tells = not Answerers.missing(contract) and bool(loss.instance)
    if tells and not any(bound.get(op.call_no) == loss.instance for op in meanwhile):
        part.doubt = f"no client that was bound to {loss.pod} asked for anything"
    for op in meanwhile:
        at = op.pod or bound.get(op.call_no, "")
        elsewhere = tells and op.call.op in ALONE and at not in ("", loss.instance)
        if op.failed:
            _judge(part, loss, op, elsewhere=elsewhere)
        elif elsewhere and op.done and seconds_between(op.call, op.done) > LATE_S:
            seen = f"{op.call.op} at {at}, which was not lost, took {seconds_between(op.call, op.done):.1f} s"
            part.find(seen, expected=f"an answer within {LATE_S:g} s", lines=(loss.began_no, op.call_no, op.done_no))
    return part.done()


def _doubt(loss: Loss | None, happened: Outcome) -> str:
    """Why nothing can be said of a fault, "" if something can."""
    if loss is None:
        return "it was not carried out"
    return "" if happened.bit else f"the fault did not bite: {happened.why or 'it was cut short'}"


def _judge(part: PartBuilder, loss: Loss, op: Op, *, elsewhere: bool) -> None:
    what = f"{op.call.op} failed ({_why(op)})"
    after_s = loss.after_s(op)
    since = f"{loss.pod} was unlisted" if loss.unlisted else f"the loss of {loss.pod}, which stays listed"
    lines = (loss.unlisted_no or loss.began_no, op.call_no, op.done_no)
    if elsewhere:
        seen = f"{what} at a replica that was not lost"
        part.find(seen, expected=f"failures at {loss.pod} only", lines=(loss.began_no, *lines[1:]))
    elif after_s > WINDOW_S:
        seen = f"{what}, sent {after_s:.1f} s after {since}"
        part.find(seen, expected=f"no failure of what is sent later than {WINDOW_S:g} s", lines=lines)


def _why(op: Op) -> str:
    """The status, or the kind of error."""
    return str(op.data.get("status") or str(op.data.get("error", "no answer")).partition(":")[0])


def _quiet(section: Section, losses: Iterable[Loss], ops: Sequence[Op]) -> Part:
    """While no replica is lost nothing fails."""
    part = PartBuilder(section, "undisturbed", "requests", QUIET)
    outside = [op for op in ops if not any(loss.has(op) for loss in losses)]
    part.had = len(outside)
    for op in outside:
        if op.failed:
            seen = f"{op.call.op} failed ({_why(op)}) while nothing was disturbed"
            part.find(seen, expected="an answer", lines=(op.call_no, op.done_no))
    return part.done()


def _story(loss: Loss, ops: Sequence[Op]) -> str:
    """Which requests failed, why and in what window: `4 of 80 failed (502 x 4), sent 0.00 to 0.12 s after it`."""
    meanwhile = [op for op in ops if loss.has(op)]
    failed = [op for op in meanwhile if op.failed]
    said = f"{len(failed)} of {len(meanwhile)} failed"
    if failed:
        kinds = ", ".join(f"{why} x {count}" for why, count in sorted(Counter(map(_why, failed)).items()))
        sent = [max(0.0, seconds_between(loss.began, op.call)) for op in failed]
        said += f" ({kinds}), sent {min(sent):.2f} to {max(sent):.2f} s after it"
    return said
