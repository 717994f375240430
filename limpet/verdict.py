"""What a judgement says: verdicts, the parts that they are made of, and the findings that they rest on.

Doubt is a verdict and not a pass: nothing judged is `unknown`, and a part that was not exercised enough is too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The five answers, as they are written."""

    HELD = "held"
    UNKNOWN = "unknown"
    VIOLATED = "violated"
    UNSUPPORTED = "unsupported"
    NOT_CLAIMED = "not claimed"

    @property
    def judged(self) -> bool:
        """Whether it says something about the backend."""
        return self in _SEVERITY


_SEVERITY = {Verdict.HELD: 0, Verdict.UNKNOWN: 1, Verdict.VIOLATED: 2}

EXIT_HELD, EXIT_VIOLATED, EXIT_UNKNOWN, EXIT_HARNESS = 0, 1, 2, 3


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of those that were judged: held < unknown < violated; none judged is unknown."""
    return max((v for v in verdicts if v.judged), key=_SEVERITY.__getitem__, default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: what was expected, what was seen, and the lines that show it."""

    part: str
    expected: str
    seen: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.seen} (expected: {self.expected})" + (f" [{self.where}]" if self.where else "")


@dataclass(frozen=True, slots=True)
class Part:
    """One named part of a guarantee.

    Attributes:
        name: as in the documentation of the guarantee.
        what: the unit of `had` and `enough`: "starts", "requests".
        had: how much was exercised.
        enough: the least that says something.
        findings: what was wrong; any makes the part violated, however little was exercised.
        missing: why this contract or target cannot show it; then it does not count.
        doubt: why it cannot be judged although it was exercised.
    """

    name: str
    what: str = ""
    had: int = 0
    enough: int = 1
    findings: tuple[Finding, ...] = ()
    missing: str = ""
    doubt: str = ""

    @property
    def verdict(self) -> Verdict:
        """Violated by any finding, unknown below enough."""
        if self.missing:
            return Verdict.NOT_CLAIMED
        if self.findings:
            return Verdict.VIOLATED
        return Verdict.UNKNOWN if self.doubt or self.had < self.enough else Verdict.HELD

    @property
    def reason(self) -> str:
        """Why the part is not held, "" when it is."""
        if self.missing or self.doubt:
            return self.missing or self.doubt
        if self.verdict is Verdict.UNKNOWN:
            return f"not exercised enough: {self.had} of {self.enough} {self.what}"
        return "; ".join(map(str, self.findings))


@dataclass(frozen=True, slots=True)
class Judgement:
    """The row of one guarantee in a verdict.

    Attributes:
        parts: judged each for itself; empty when the guarantee was not judged at all.
        evidence: figures for the reader, in the order to be shown: {"sessions": 50}.
        budget: the time or count that was allowed, in words.
        reason: why it is unsupported, not claimed, or could not be judged.
        set_to: the verdict where it does not follow from parts.
        duration_s: how long showing it took.
    """

    guarantee: str
    parts: tuple[Part, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    budget: str = ""
    reason: str = ""
    set_to: Verdict | None = None
    duration_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of the parts that can be shown; unknown if there is none."""
        return self.set_to or worst(part.verdict for part in self.parts)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the parts."""
        return tuple(finding for part in self.parts for finding in part.findings)


def exit_code(judgements: Iterable[Judgement], required: Iterable[str] = ()) -> int:
    """The exit code of a run: as bad as its worst guarantee; an unmet requirement is 2."""
    rows = {j.guarantee: j.verdict for j in judgements}
    overall = worst(rows.values())
    if overall is Verdict.VIOLATED:
        return EXIT_VIOLATED
    unmet = [name for name in required if rows.get(name) is not Verdict.HELD]
    return EXIT_UNKNOWN if unmet or overall is Verdict.UNKNOWN else EXIT_HELD
