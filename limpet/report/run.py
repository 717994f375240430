"""What a whole run said: the judgements, what they were made with, and the exit code that follows from them.

A `Run` is all that the reports are drawn from, so a stored one can be drawn again at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from limpet.verdict import EXIT_HARNESS, EXIT_VIOLATED, Judgement, Verdict, exit_code

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command line.

    Attributes:
        what: the command: "verify", "recheck".
        version: of limpet.
        contract: its name; `contract_path` is the file.
        target: "local", or the name of the cluster's context.
        replicas: how many were declared.
        started: UTC, ISO 8601.
        judgements: in the order to be shown.
        required: guarantees that have to be held whatever they would count otherwise.
        command: what repeats the run.
        error: how the harness or its surroundings failed, in words; "" when they did not.
        interrupted: stopped by its user before everything was judged.
    """

    what: str
    version: str
    seed: int
    contract: str
    contract_path: str
    target: str
    replicas: int
    started: str
    duration_s: float
    judgements: tuple[Judgement, ...]
    required: tuple[str, ...]
    command: str
    error: str = ""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """A violation outweighs everything; then comes an interruption, then a failure of the harness, then doubt."""
        judged = exit_code(self.judgements, self.required)
        if judged == EXIT_VIOLATED:
            return judged
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_HARNESS if self.error else judged

    @property
    def unmet(self) -> tuple[str, ...]:
        """What was required and is not held."""
        held = {j.guarantee for j in self.judgements if j.verdict is Verdict.HELD}
        return tuple(name for name in self.required if name not in held)


def counts(run: Run) -> Mapping[Verdict, int]:
    """How many guarantees have each verdict; all five, in the order to be shown."""
    verdicts = [judgement.verdict for judgement in run.judgements]
    return {verdict: verdicts.count(verdict) for verdict in Verdict}


def line(run: Run) -> str:
    """The run in one line: `limpet: held 5, unknown 0, violated 0, unsupported 0, not claimed 10`."""
    return "limpet: " + ", ".join(f"{verdict} {count}" for verdict, count in counts(run).items())
