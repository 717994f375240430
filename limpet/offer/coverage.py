"""Which guarantees, and which of their parts, can be judged with what a contract offers. Nothing is run for it.

Every checker says by itself which part it cannot judge, and why; here it is asked about a run without events.
"""

from dataclasses import dataclass

from limpet.contract import GUARANTEES, Contract
from limpet.history import Line, Section
from limpet.runner import CHECKERS, judge
from limpet.verdict import Part

EXIT_UNJUDGEABLE = 2  # as a run ends that claims what nobody can show
REPLICAS = 2  # as `limpet verify` starts when it is not told otherwise


@dataclass(frozen=True, slots=True)
class Coverage:
    """What can be judged of one guarantee.

    Attributes:
        parts: all of it; those with `missing` cannot be judged.
        budget: what the contract's times allow, in words.
        reason: why nothing of it can be judged, "" when something can.
    """

    guarantee: str
    claimed: bool
    parts: tuple[Part, ...] = ()
    budget: str = ""
    reason: str = ""

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that cannot be judged."""
        return tuple(part for part in self.parts if part.missing)


def coverage(contract: Contract) -> tuple[Coverage, ...]:
    """All guarantees, in their order."""
    return tuple(_coverage(contract, name) for name in GUARANTEES)


def unjudgeable(rows: tuple[Coverage, ...]) -> tuple[str, ...]:
    """What is claimed though nothing of it can be judged."""
    return tuple(row.guarantee for row in rows if row.claimed and row.reason)


def _coverage(contract: Contract, guarantee: str) -> Coverage:
    claimed = guarantee in contract.claims.guarantees
    if guarantee not in CHECKERS:
        return Coverage(guarantee, claimed, reason="this version of limpet has no suite for it")
    target = Line(0, "target", "local", data={"replicas": REPLICAS})
    lines = [Line(0, "begin", guarantee), target, Line(0, "end", guarantee, data={"lines": 1})]
    judgement = judge(Section(lines, "a run without events"), contract)
    shown = [part for part in judgement.parts if not part.missing]
    reasons = dict.fromkeys(part.missing for part in judgement.parts)  # each once, in order
    return Coverage(guarantee, claimed, judgement.parts, judgement.budget, "" if shown else "; ".join(reasons))
