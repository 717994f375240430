"""Whether interruptions say what was: what they announce nobody observed, and all that is missing they announce.

A source counts on a clock of its own, so as many counts are missing as fell due while an interruption says it lasted.
If fewer are, events were sent that it said nobody had seen; if more are, it hides how long it was.
"""

from collections.abc import Iterator
from datetime import datetime

from limpet.checkers.agreement import Stream
from limpet.checkers.delivery import Flaw
from limpet.history import Line, seconds_between

SLACK_S = 2.0  # events fall due between the announcement and the start of the gadget, and on a busy machine later
KNOWN_FOR_S = 2.0  # by which the source's pace is told

EXPECTED = "as many missing as fell due meanwhile"


def of_stream(stream: Stream) -> Iterator[Flaw]:
    """All that is wrong with what one stream announces."""
    pace = _events_a_second(stream)
    before: tuple[int, int] | None = None  # count and line of the event before
    told: list[int] = []  # lines of the interruptions since
    lasted_s = 0.0
    last = 0
    for seq, (no, line) in sorted(stream.first.items()):
        if seq != last + 1:  # nobody got what lies between
            before, told, lasted_s = None, [], 0.0
        last = seq
        if line.op == "interruption":
            span_s = _span_s(line)
            if span_s is None or span_s < 0:
                times = f"{line.data.get('since')!r} to {line.data.get('until')!r}"
                seen = f"an interruption of {stream.session} lasted from {times}"
                yield Flaw("interruptions", seen, "two times (RFC 3339), the earlier one first", (no,))
            told.append(no)
            lasted_s += max(0.0, span_s or 0.0)
            continue
        count = line.data.get("n")
        if line.op != "event" or not isinstance(count, int):
            continue
        if before and told and pace:
            missing, due = count - before[0] - 1, lasted_s * pace
            slack = SLACK_S * pace
            lines = (before[1], *told, no)
            if missing < due - slack:
                seen = (
                    f"{stream.session} announces that {lasted_s:.1f} s were not observed, in which {due:.0f} events "
                    f"fell due, and only {missing} are missing"
                )
                yield Flaw("interruptions", seen, EXPECTED, lines)
            elif missing > due + slack:
                seen = (
                    f"{stream.session} announces that {lasted_s:.1f} s were not observed, in which {due:.0f} events "
                    f"fell due, and {missing} are missing"
                )
                yield Flaw("interruptions", seen, EXPECTED, lines)
        before, told, lasted_s = (count, no), [], 0.0


def announced(stream: Stream) -> int:
    """How many interruptions a stream has."""
    return sum(line.op == "interruption" for _, line in stream.first.values())


def _events_a_second(stream: Stream) -> float:
    """The pace of the source, from the first event that is known to the last; 0 where that is too short to tell."""
    counted = [line for _, (_, line) in sorted(stream.first.items()) if isinstance(line.data.get("n"), int)]
    if len(counted) < 2:  # noqa: PLR2004  a pair
        return 0.0
    first, last = counted[0], counted[-1]
    lasted_s = seconds_between(first, last)
    return (last.data["n"] - first.data["n"]) / lasted_s if lasted_s >= KNOWN_FOR_S else 0.0


def _span_s(line: Line) -> float | None:
    """How long an interruption says it was, None where it does not say so legibly."""
    try:
        since, until = (datetime.fromisoformat(str(line.data.get(key))) for key in ("since", "until"))
        return (until - since).total_seconds()
    except (TypeError, ValueError):  # no times, or one with a zone and one without
        return None
