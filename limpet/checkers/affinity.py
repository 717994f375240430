"""`affinity`: `ws:{id}` names a replica with an open WebSocket of the session and goes when the last closes.

A dead replica's entry goes within the heartbeat TTL. Of the looks that belong to one step only the last is judged: the
workload looks again until the key is right and stays so, or the step's time is over. A key that is wrong before that
time is over is wrong for nobody.
"""

from collections import defaultdict
from dataclasses import dataclass

from limpet.checkers.parts import Answerers, PartBuilder
from limpet.checkers.recovery import outcome
from limpet.contract import Contract
from limpet.history import Line, Op, Section, seconds_between
from limpet.verdict import Judgement, Part

SETTLED_WITHIN_S = 1.0
STAYS_S = 0.2  # how long the key has to be right: a removal that comes late is one of the bugs
KILL_SLACK_S = 2.0  # beyond the heartbeat TTL: the sweep of the survivors and one look
ORDERS = 6
STEPS = 4
KILLS = 1
FAULT = "pod kill"


@dataclass(frozen=True, slots=True)
class _Step:
    """The last look of one step.

    Attributes:
        named: the replica in the key, None without a key.
        pods: the replicas whose sockets of the session were open then, "" where that is not known.
        settled_s: how long before the look the session's sockets were last changed.
        lost: whether a socket of the session was lost with the replica that was killed.
    """

    name: str
    look: Op
    named: str | None
    pods: frozenset[str]
    settled_s: float
    lost: bool


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `affinity` from the looks after each step."""
    if contract.redis.websocket is None or contract.websocket is None:
        reason = "redis.websocket or [websocket] is not in the contract"
        return Judgement(section.guarantee, (Part("orders", missing=reason),))
    steps = _steps(section, contract)
    parts = (
        _judged(section, steps, "orders", "order ", ORDERS * STEPS).done(),
        _moves(section, contract, steps),
        _killed(section, contract, steps),
    )
    evidence = {"orders": ORDERS, "steps": len(steps)} | _took(section, steps)
    budget = f"{SETTLED_WITHIN_S:g} s, after a kill {contract.timing.heartbeat_ttl_s or 0:g} + {KILL_SLACK_S:g} s"
    return Judgement(section.guarantee, parts, evidence=evidence, budget=budget)


def _steps(section: Section, contract: Contract) -> list[_Step]:
    """The steps of all sessions all of whose WebSockets could be opened."""
    who = None if Answerers.missing_for_sockets(contract) else Answerers(section)
    connects = section.ops("connect")
    served = {op.done_no: who.of(op) if who else "" for op in connects if op.type == "ok"}
    refused = {op.call.session for op in connects if op.failed}
    looks = {op.done_no: op for op in section.ops("look") if op.type == "ok"}
    open_: dict[str, dict[int, str]] = defaultdict(dict)
    changed: dict[str, Line] = {}
    kill: Line | None = None
    lost: set[str] = set()
    found: dict[tuple[str, str], _Step] = {}
    for no, line in enumerate(section.lines, 1):
        if no in served:
            open_[line.session][line.process] = served[no]
            changed[line.session] = line
        elif line.type == "closed":
            open_[line.session].pop(line.process, None)
            changed[line.session] = line
            lost |= {line.session} if kill else set()
        elif line.type == "fault" and line.data.get("fault") == FAULT and line.op in ("inject", "effect"):
            kill = line
        elif no in looks and line.session not in refused:
            name, look = str(line.data.get("step")), looks[no]
            since = kill if name == "killed" else changed.get(line.session)
            settled_s = seconds_between(since, look.call) if since else 0.0
            pods = frozenset(open_[line.session].values())
            named = line.value.get("websocket")
            found[line.session, name] = _Step(name, look, named, pods, settled_s, line.session in lost)
    return [step for step in found.values() if step.name != "who"]


def _judged(section: Section, steps: list[_Step], name: str, prefix: str, enough: int) -> PartBuilder:
    part = PartBuilder(section, name, "steps", enough)
    for step in steps:
        if step.name.startswith(prefix):
            part.had += _judge(part, step, SETTLED_WITHIN_S)
    return part


def _judge(part: PartBuilder, step: _Step, within_s: float) -> bool:
    """Whether the step shows anything; a key that is wrong shows nothing before the time is over."""
    seen, expected = _wrong(step)
    if seen and step.settled_s < within_s:
        part.doubt = f"{step.name}: {seen}, and it was not looked at again after {step.settled_s:.1f} s"
        return False
    if seen:
        part.find(f"{step.look.call.session}, {step.name}: {seen}", expected=expected, lines=(step.look.done_no,))
    return True


def _wrong(step: _Step) -> tuple[str, str]:
    """What is wrong with the key, and what was expected; "" when it is right."""
    if not step.pods:
        return (
            (f"its key names {step.named}, and no WebSocket is open", "no key") if step.named is not None else ("", "")
        )
    if step.named is None:
        return "a WebSocket is open, and there is no key", "its key"
    if "" in step.pods or step.named in step.pods:
        return "", ""
    return f"its key names {step.named}, which has no WebSocket of it", f"one of {', '.join(sorted(step.pods))}"


def _moves(section: Section, contract: Contract, steps: list[_Step]) -> Part:
    if contract.websocket is not None and not contract.websocket.any_replica:
        return Part("moves", missing="websocket.any_replica is false: a stream does not move between replicas")
    part = _judged(section, steps, "moves", "move ", STEPS)
    homes = set().union(*(step.pods for step in steps if step.name.startswith("move ")))
    if len(homes) == 1 and "" not in homes:
        part.doubt = "it only moved from a replica to the same"
    return part.done()


def _killed(section: Section, contract: Contract, steps: list[_Step]) -> Part:
    part = PartBuilder(section, "kill", "sessions that lost a WebSocket", KILLS)
    happened = outcome(section, FAULT)
    if contract.timing.heartbeat_ttl_s is None:
        part.missing = "timing.heartbeat_ttl_s is not in the contract"
        return part.done()
    if not happened.bit:
        part.doubt = f"the kill did not bite: {happened.why or 'it was not carried out'}"
    elif not happened.recovered:
        part.find(f"the replica did not come back: {happened.why}", expected="all ready again", lines=(happened.line,))
    for step in steps:
        if step.name == "killed" and _judge(part, step, contract.timing.heartbeat_ttl_s + KILL_SLACK_S):
            part.had += step.lost
    return part.done()


def _took(section: Section, steps: list[_Step]) -> dict[str, float]:
    """How long after the kill the last key was right."""
    inject = next((line for _, line in section.of("fault", op="inject")), None)
    ends: list[Line] = [step.look.done for step in steps if step.name == "killed" and step.look.done]
    if inject is None or not ends:
        return {}
    return {"right_after_kill_s": round(max(seconds_between(inject, end) for end in ends), 1)}
