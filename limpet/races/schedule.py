"""A schedule: which replicas are called at the same time, and in which order their Redis commands are let through.

As text, so that it can be given again: `A:update B:delete | A A x B`. A is the first replica, which made the session;
calls through one replica are made one after the other. Each step lets one command of a replica through; `x` lets the
session's lock expire. After the steps A goes on to its end, then B, and so on.
"""

import re
from dataclasses import dataclass
from typing import Self

from limpet.errors import LimpetError

LANES = "ABCD"
EXPIRY = "x"
OPS = ("read", "update", "delete", "create")  # the simplest first
CALL = re.compile(rf"([{LANES}]):({'|'.join(OPS)})")
EXAMPLE = '"A:update B:delete | A A x B"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """What was drawn.

    Attributes:
        calls: (replica, what it is asked), at least two.
        steps: replicas, or EXPIRY.
    """

    calls: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its text. Raises LimpetError that says what to write."""
        calls, _, steps = text.partition("|")
        found = [CALL.fullmatch(word) for word in calls.split()]
        lanes = {match[1] for match in found if match}
        if not lanes or None in found:
            raise LimpetError(
                f"the schedule {text!r} begins with no calls; write it like {EXAMPLE}, with the replicas "
                f"{', '.join(LANES)} and the calls {', '.join(OPS)}"
            )
        unknown = [step for step in "".join(steps.split()) if step not in (*lanes, EXPIRY)]
        if unknown:
            raise LimpetError(
                f"the schedule {text!r} has the step {unknown[0]!r}; a step is {EXPIRY} (the lock expires) or one of "
                f"the replicas that are called: {', '.join(sorted(lanes))}"
            )
        return cls(tuple((match[1], match[2]) for match in found if match), tuple("".join(steps.split())))

    @property
    def lanes(self) -> tuple[str, ...]:
        """The replicas that are called, in their order."""
        return tuple(sorted({lane for lane, _ in self.calls}))

    @property
    def size(self) -> tuple[int, int, str]:
        """By which of two schedules one is simpler."""
        return len(self.calls), len(self.steps), str(self)

    def __str__(self) -> str:
        calls = " ".join(f"{lane}:{op}" for lane, op in self.calls)
        return f"{calls} | {' '.join(self.steps)}" if self.steps else calls
