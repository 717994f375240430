"""What became of a fault: whether it bit, whether the target recovered, and how operations fared meanwhile.

A fault lasts from its injection until the target was seen to be as before, or was not in time. Times are seconds from
the injection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from limpet.history import Line, Op, Section, seconds_between

OVER = ("recovered", "not recovered")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fault as the history tells it. `line` is its last line's number; `took_s` from injection to recovery."""

    bit: bool = False
    recovered: bool = False
    took_s: float = 0.0
    why: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """How operations fared while one fault lasted: those under way at its injection, those that began before its end.

    Attributes:
        operations: how many came back.
        failures: how many of these came back without success.
        first_failure_s: when the first of them came back, None without one.
        last_failure_s: when the last of them did.
        first_success_s: when the first success came that was asked for after the injection, None without one. It may
            have come after the end.
        longest_s: the longest time in which nothing succeeded, from the last success before the injection to the last
            operation that came back.
    """

    operations: int = 0
    failures: int = 0
    first_failure_s: float | None = None
    last_failure_s: float | None = None
    first_success_s: float | None = None
    longest_s: float = 0.0


def outcome(section: Section, fault: str) -> Outcome:
    """The outcome of the (last) fault of that name."""
    bit = recovered = False
    why, last = "", 0
    began: Line | None = None
    took_s = 0.0
    for no, line in section.of("fault"):
        if line.data.get("fault") != fault:
            continue
        last = no
        match line.op:
            case "inject":
                bit, recovered, why, took_s, began = False, False, "", 0.0, line
            case "effect":
                bit = True
            case "recovered":
                recovered, took_s = True, seconds_between(began or line, line)
            case "not recovered":
                bit, why = True, str(line.data.get("why"))
            case "no effect":
                why = str(line.data.get("why"))
            case _:
                pass
    return Outcome(bit, recovered, took_s, why, last)


def window(section: Section, fault: str, ops: Sequence[Op]) -> Window | None:
    """How these operations fared around the (last) fault of that name; None if there was none."""
    lines = [(no, line) for no, line in section.of("fault") if line.data.get("fault") == fault]
    began_no, began = next(((no, line) for no, line in reversed(lines) if line.op == "inject"), (0, None))
    if began is None:
        return None
    over_no = next((no for no, line in lines if no > began_no and line.op in OVER), len(section.lines))
    meanwhile = sorted((op for op in ops if op.call_no < over_no and op.done_no > began_no), key=lambda op: op.done_no)
    came = [(op, op.done) for op in meanwhile if op.done]
    failures = [seconds_between(began, done) for op, done in came if op.failed]
    after = [(op.done_no, op.done) for op in ops if op.type == "ok" and op.done and op.call_no > began_no]
    first = min(after, key=lambda pair: pair[0], default=(0, None))[1]
    return Window(
        operations=len(came),
        failures=len(failures),
        first_failure_s=min(failures, default=None),
        last_failure_s=max(failures, default=None),
        first_success_s=seconds_between(began, first) if first else None,
        longest_s=_longest_s(began, began_no, came, ops),
    )


def _longest_s(began: Line, began_no: int, came: Sequence[tuple[Op, Line]], ops: Sequence[Op]) -> float:
    """The longest time without a success: nobody tried beyond the last that came back, so nothing is known of that."""
    before = [op.done for op in ops if op.type == "ok" and op.done and op.done_no < began_no]
    start = max(before, key=lambda line: line.t, default=began)
    good = [done for op, done in came if op.type == "ok"]
    ends = [done for _, done in came[-1:]]
    return max((seconds_between(one, other) for one, other in pairwise([start, *good, *ends])), default=0.0)
