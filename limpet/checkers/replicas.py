"""`replicas`: the declared number of replicas is ready and each one serves through the ingress."""

from collections import Counter

from limpet.checkers.parts import Answerers, PartBuilder, pods_of, replicas_declared
from limpet.contract import Contract
from limpet.history import Section
from limpet.verdict import Judgement, Part

VISITS_PER_REPLICA = 20
SNAPSHOTS = 2


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `replicas` from snapshots of the pods and visits of new clients."""
    declared = replicas_declared(section)
    who = Answerers(section)
    served = Counter(who.of(op) for op in section.ops("visit") if op.type == "ok")
    parts = (
        _ready(section, declared),
        _endpoints(section),
        _serving(section, contract, declared, served),
        _restarts(section),
    )
    return Judgement(
        section.guarantee,
        parts,
        evidence={"replicas": declared, "visits": served.total(), "per replica": sorted(served.values())},
        budget=f"{declared} ready, 0 restarts",
    )


def _ready(section: Section, declared: int) -> Part:
    part = PartBuilder(section, "ready", "looks at the pods", SNAPSHOTS)
    for no, line in section.of("pods"):
        part.had += 1
        ready = [pod["name"] for pod in pods_of(line) if pod["phase"] == "ready"]
        if len(ready) != declared:
            states = ", ".join(f"{pod['name']} {pod['phase']}" for pod in pods_of(line)) or "no pod"
            part.find(f"{len(ready)} replicas ready ({states})", expected=f"{declared} ready", lines=(no,))
    return part.done()


def _endpoints(section: Section) -> Part:
    part = PartBuilder(section, "endpoints", "looks at the pods", SNAPSHOTS)
    for no, line in section.of("pods"):
        part.had += 1
        for pod in pods_of(line):
            if pod["listed"] != (pod["phase"] == "ready"):
                listed = "lists it" if pod["listed"] else "does not list it"
                part.find(
                    f"{pod['name']} is {pod['phase']} and the ingress {listed}",
                    expected="the ingress lists exactly the ready pods",
                    lines=(no,),
                )
    return part.done()


def _serving(section: Section, contract: Contract, declared: int, served: Counter[str]) -> Part:
    part = PartBuilder(section, "serving", "visits", max(declared, 1) * VISITS_PER_REPLICA)
    part.missing = Answerers.missing(contract)
    if part.missing:
        return part.done()
    part.had = len(section.ops("visit"))
    last = max((no for no, _ in section.of("pods")), default=0)
    pods = pods_of(section.lines[last - 1]) if last else []
    for pod in pods:
        if pod["phase"] == "ready" and pod["instance"] and not served[pod["instance"]]:
            part.find(
                f"{pod['name']} answered none of {part.had} visits", expected="every replica serves", lines=(last,)
            )
    if part.had and len(served) < declared and not any(pod["instance"] for pod in pods):
        part.find(f"{len(served)} instances answered {part.had} visits", expected=f"{declared} instances")
    return part.done()


def _restarts(section: Section) -> Part:
    part = PartBuilder(section, "restarts", "looks at the pods", SNAPSHOTS)
    fresh = any(line.data.get("fresh") for _, line in section.of("target"))
    before: dict[str, int] = {}
    for no, line in section.of("pods"):
        part.had += 1
        for pod in pods_of(line):
            known = before.setdefault(pod["name"], 0 if fresh else pod["restarts"])
            if pod["restarts"] > known:
                part.find(
                    f"{pod['name']} was restarted {pod['restarts'] - known} times", expected="0 restarts", lines=(no,)
                )
                before[pod["name"]] = pod["restarts"]
    return part.done()
