"""Whether two watchers of one session got the same events, told by what these carry: for streams without numbers."""

from collections.abc import Sequence

from limpet.checkers.parts import PartBuilder
from limpet.checkers.recorded import Event
from limpet.contract import Contract
from limpet.history import Section, seconds_between
from limpet.verdict import Part

BESIDE_S = 1.0  # two watchers may get one event as far apart


def viewers_agree(section: Section, contract: Contract, sessions: Sequence[list[list[Event]]]) -> Part:
    """Two watchers of one session get the same events while both watch. `sessions`: what each watcher of each got."""
    part = PartBuilder(section, "viewers agree", "pairs of watchers", 1)
    part.missing = "" if contract.websocket else "[websocket] is not in the contract"
    for watched in sessions:
        if len(watched) < 2:  # noqa: PLR2004  a pair
            continue
        one, other = watched[:2]
        agree = overlap(one, other)
        at_once = beside(section, one, other) or beside(section, other, one)
        part.had += agree or at_once
        if at_once and not agree:
            session = section.lines[one[0].line - 1].session
            part.find(f"two watchers of {session} got different events at the same time", expected="the same events",
                      lines=(one[0].line, other[0].line))  # fmt: skip
    return part.done()


def overlap(one: list[Event], other: list[Event]) -> bool:
    """Whether both can be parts of one sequence, and have something of it in common."""
    first, second = ([event.key for event in events] for events in (one, other))
    return any(
        all(a == b for a, b in zip(first[max(shift, 0) :], second[max(-shift, 0) :], strict=False))
        for shift in range(1 - len(second), len(first))
    )


def beside(section: Section, one: list[Event], other: list[Event]) -> bool:
    """Whether one of the first's events surely came while the second watched."""
    first, last = (section.lines[event.line - 1] for event in (other[0], other[-1]))
    came = [section.lines[event.line - 1] for event in one]
    return any(min(seconds_between(first, line), seconds_between(line, last)) >= BESIDE_S for line in came)
