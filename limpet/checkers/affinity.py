"""`affinity`: `ws:{id}` names a replica with an open WebSocket of the session and goes when the last closes.

A dead replica's entry goes within the heartbeat TTL. Of the looks that belong to one step only the last is judged: the
workload looks again until the key is right or the step's time is over.
"""

from collections import defaultdict
from dataclasses import dataclass

from limpet.checkers.parts import Answerers, PartBuilder
from limpet.checkers.recovery import outcome
from limpet.contract import Contract
from limpet.history import Line, Op, Section, seconds_between
from limpet.verdict import Judgement, Part

SETTLED_WITHIN_S = 1.0
KILL_SLACK_S = 2.0  # beyond the heartbeat TTL: the sweep of the survivors and one look
ORDERS = 6
STEPS = 4
KILLS = 2
FAULT = "pod kill"


@dataclass(frozen=True, slots=True)
class _Step:
    """The last look of one step, with the replicas whose sockets of the session were open then ("" where not known)."""

    name: str
    look: Op
    named: str | None
    pods: frozenset[str]


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `affinity` from the looks after each step."""
    if contract.redis.websocket is None or contract.websocket is None:
        reason = "redis.websocket or [websocket] is not in the contract"
        return Judgement(section.guarantee, (Part("orders", missing=reason),))
    steps = _steps(section, contract)
    parts = (
        _judged(section, steps, "orders", "order ", ORDERS * STEPS),
        _moves(section, contract, steps),
        _killed(section, contract, steps),
    )
    evidence = {"orders": ORDERS, "steps": len(steps)} | _took(section, steps)
    budget = f"{SETTLED_WITHIN_S:g} s, after a kill {contract.timing.heartbeat_ttl_s or 0:g} + {KILL_SLACK_S:g} s"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def _steps(section: Section, contract: Contract) -> list[_Step]:
    who = None if Answerers.missing_for_sockets(contract) else Answerers(section)
    served = {op.done_no: who.of(op) if who else "" for op in section.ops("connect") if op.type == "ok"}
    looks = {op.done_no: op for op in section.ops("look") if op.type == "ok"}
    open_: dict[str, dict[int, str]] = defaultdict(dict)
    found: dict[tuple[str, str], _Step] = {}
    for no, line in enumerate(section.lines, 1):
        if no in served:
            open_[line.session][line.process] = served[no]
        elif line.type == "closed":
            open_[line.session].pop(line.process, None)
        elif no in looks:
            name = str(line.data.get("step"))
            pods = frozenset(open_[line.session].values())
            found[line.session, name] = _Step(name, looks[no], line.value.get("websocket"), pods)
    return [step for step in found.values() if step.name != "who"]


def _judged(section: Section, steps: list[_Step], name: str, prefix: str, enough: int) -> Part:
    part = PartBuilder(section, name, "steps", enough)
    for step in steps:
        if step.name.startswith(prefix):
            part.had += 1
            _judge(part, step)
    return part.done()


def _judge(part: PartBuilder, step: _Step) -> None:
    session, lines = step.look.call.session, (step.look.done_no,)
    if not step.pods and step.named is not None:
        part.find(
            f"{session}, {step.name}: its key names {step.named}, and no WebSocket is open",
            expected="no key",
            lines=lines,
        )
    elif step.pods and step.named is None:
        part.find(f"{session}, {step.name}: a WebSocket is open, and there is no key", expected="its key", lines=lines)
    elif step.pods and "" not in step.pods and step.named not in step.pods:
        part.find(
            f"{session}, {step.name}: its key names {step.named}, which has no WebSocket of it",
            expected=f"one of {', '.join(sorted(step.pods))}",
            lines=lines,
        )


def _moves(section: Section, contract: Contract, steps: list[_Step]) -> Part:
    if contract.websocket is not None and not contract.websocket.any_replica:
        return Part("moves", missing="websocket.any_replica is false: a stream does not move between replicas")
    return _judged(section, steps, "moves", "move ", STEPS)


def _killed(section: Section, contract: Contract, steps: list[_Step]) -> Part:
    part = PartBuilder(section, "kill", "sessions with a WebSocket", KILLS)
    happened = outcome(section, FAULT)
    if contract.timing.heartbeat_ttl_s is None:
        part.missing = "timing.heartbeat_ttl_s is not in the contract"
    elif not happened.bit:
        part.doubt = f"the kill did not bite: {happened.why or 'it was not carried out'}"
    elif not happened.recovered:
        part.find(f"the replica did not come back: {happened.why}", expected="all ready again", lines=(happened.line,))
    for step in steps if not part.missing else ():
        if step.name == "killed":
            part.had += 1
            _judge(part, step)
    return part.done()


def _took(section: Section, steps: list[_Step]) -> dict[str, float]:
    """How long after the kill the last key was right."""
    inject = next((line for _, line in section.of("fault", op="inject")), None)
    ends: list[Line] = [step.look.done for step in steps if step.name == "killed" and step.look.done]
    if inject is None or not ends:
        return {}
    return {"right_after_kill_s": round(max(seconds_between(inject, end) for end in ends), 1)}
