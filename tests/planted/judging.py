"""What the selfcheck makes of one run: was the bug caught, by the right guarantee, and by no other."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet import history as histories
from limpet import runner
from limpet.clock import NS_PER_S
from limpet.history import Section
from limpet.report import store
from limpet.report.run import Run
from limpet.verdict import Finding, Verdict
from planted.base import Bug


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the matrix.

    Attributes:
        bug: None for the run without any.
        verdicts: guarantee -> what was said, of those that were judged.
        caught_s: from the stack's begin to the last line of the finding that was there first; None if there was none.
        took_s: of the whole run.
        wrong: what is not as it must be, in words; empty when all is right.
    """

    bug: Bug | None
    verdicts: Mapping[str, Verdict]
    caught_s: float | None
    took_s: float
    wrong: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the matrix shows it."""
        return self.bug.name if self.bug else "none"


def row(bug: Bug | None, directory: Path, *, asked: tuple[str, ...], took_s: float) -> Row:
    """The row of the run in `directory`, in which the guarantees `asked` were judged. Raises LimpetError."""
    run = store.load(directory)
    verdicts = {j.guarantee: j.verdict for j in run.judgements if j.guarantee in asked}
    wrong = [*blame(bug, verdicts, asked)]
    if run.error:
        wrong.append(f"the harness failed: {run.error}")
    if bug and not live(bug, directory):
        wrong.append("the bug was not live: no log says that it was planted")
    caught_s = detection_s(run, bug.caught_by, directory) if bug else None
    return Row(bug, verdicts, caught_s, took_s, tuple(wrong))


def blame(bug: Bug | None, verdicts: Mapping[str, Verdict], asked: tuple[str, ...]) -> list[str]:
    """What is wrong about these verdicts, in words."""
    wrong = []
    for guarantee in asked:
        verdict = verdicts.get(guarantee, Verdict.UNKNOWN)
        if bug and guarantee == bug.caught_by:
            if verdict is not Verdict.VIOLATED:
                wrong.append(f"not caught: {guarantee} is {verdict}")
        elif not (verdict is Verdict.HELD or (bug and guarantee in bug.also)):
            wrong.append(f"{'wrongly blamed' if verdict is Verdict.VIOLATED else 'in doubt'}: {guarantee} is {verdict}")
    return wrong


def live(bug: Bug, directory: Path) -> bool:
    """Whether a process of the run said that it was planted."""
    said = f"planted: {bug.name}\n".encode()
    return any(said in log.read_bytes() for log in sorted((directory / "logs").rglob("*.log")))


def detection_s(run: Run, guarantee: str, directory: Path) -> float | None:
    """Seconds from the begin of the guarantee's stack until the history had all lines of one of its findings."""
    findings = [finding for j in run.judgements if j.guarantee == guarantee for finding in j.findings]
    if not findings:
        return None
    section = histories.read(runner.history_path(directory, guarantee))
    return min(_complete_s(section, finding) for finding in findings)


def _complete_s(section: Section, finding: Finding) -> float:
    """When the last line of a finding was written; one that names no lines rests on the whole history."""
    _, _, numbers = finding.where.partition(" line")
    lines = [int(number) for number in re.findall(r"\d+", numbers)] or [len(section.lines)]
    return (section.lines[max(lines) - 1].t - section.lines[0].t) / NS_PER_S
