"""What the report takes from the stored histories of a run: a timeline of each, and the lines that findings point at.

A history that is damaged, or cannot be read at all, is said to be so; it does not prevent a report.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from limpet.clock import NS_PER_S
from limpet.errors import HistoryError
from limpet.history import Line, read
from limpet.report.timeline import Timeline, timeline
from limpet.verdict import Finding

_POINTER = re.compile(r"(?P<source>[^\s/;,]+\.jsonl) lines? (?P<numbers>\d{1,12}(?:, ?\d{1,12})*)")


@dataclass(frozen=True, slots=True)
class Quote:
    """One line of a history, as JSON, `at_s` seconds after the first."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One history file.

    Attributes:
        source: the file's name.
        guarantee: which it was recorded for, "" when it cannot be read.
        damage: what is wrong with it, "" when it is whole.
        lines: how many it has.
        drawing: None when it cannot be read.
        quotes: the lines that findings point at, by number.
    """

    source: str
    guarantee: str
    damage: str
    lines: int
    drawing: Timeline | None
    quotes: Mapping[int, Quote]


def pointers(where: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The lines that a finding names: `history-gw0.jsonl lines 4118, 4127` -> ("history-gw0.jsonl", (4118, 4127))."""
    for found in _POINTER.finditer(where):
        yield found["source"], tuple(int(number) for number in found["numbers"].split(","))


def histories(directory: Path, findings: Iterable[Finding]) -> list[Recorded]:
    """All histories of a run directory, in the order of their names, with what `findings` quote from them.

    A file that a finding names and that is not there comes last, as damaged.
    """
    wanted: dict[str, set[int]] = {}
    for finding in findings:
        for source, numbers in pointers(finding.where):
            wanted.setdefault(source, set()).update(numbers)
    paths = sorted(directory.glob("history*.jsonl"))
    recorded = [_one(path, wanted.get(path.name, set())) for path in paths]
    missing = sorted(wanted.keys() - {path.name for path in paths})
    return recorded + [
        Recorded(name, "", f"{name} is missing; findings rest on it, and nobody can check them", 0, None, {})
        for name in missing
    ]


def _one(path: Path, wanted: set[int]) -> Recorded:
    try:
        section = read(path)
    except HistoryError as error:
        return Recorded(path.name, "", str(error), 0, None, {})
    lines = section.lines
    damage = f"{path.name}: {section.damage}" if section.damage else ""
    return Recorded(path.name, section.guarantee, damage, len(lines), timeline(lines), _quotes(lines, wanted))


def _quotes(lines: Sequence[Line], wanted: set[int]) -> dict[int, Quote]:
    start_ns = min(line.t for line in lines)
    encode = msgspec.json.encode
    return {
        number: Quote((lines[number - 1].t - start_ns) / NS_PER_S, encode(lines[number - 1]).decode())
        for number in sorted(wanted)
        if 1 <= number <= len(lines)
    }
