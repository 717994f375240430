"""Prints what `make mutation` found: how many mutants of each module the tests killed, and which survived.

mutmut leaves its results in `mutants/`, a `.meta` file beside each mutated module. The score is killed / all that tests
reach and that were run to the end. Apart from it stand: time-outs, mutants that no test reaches, those that were not
run, and survivors that change nothing but the wording of a finding.
"""

import argparse
import ast
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

APART = ("timeout", "no tests", "not checked")


@dataclass(frozen=True, slots=True)
class Score:
    """One module, or all of them. `other`: crashes and whatever else is neither a pass nor a failure of a test."""

    killed: int = 0
    survived: int = 0
    wording: int = 0
    timeouts: int = 0
    unreached: int = 0
    not_run: int = 0
    other: int = 0

    @property
    def percent(self) -> float | None:
        """Killed of all that tests judged, wording apart; None if there were none."""
        judged = self.killed + self.survived
        return 100 * self.killed / judged if judged else None

    def __add__(self, more: "Score") -> "Score":
        return Score(*(getattr(self, name) + getattr(more, name) for name in self.__slots__))


def score(exit_codes: Mapping[str, int | None], is_wording: Callable[[str], bool]) -> tuple[Score, list[str]]:
    """The score of a module's mutants, and the names of the survivors that count."""
    status = {name: status_by_exit_code[code] for name, code in exit_codes.items()}
    survivors = [name for name, what in status.items() if what == "survived"]
    counted = [name for name in survivors if not is_wording(name)]
    many = Counter(status.values())
    known = sum(many[what] for what in ("killed", "survived", *APART))
    return Score(
        killed=many["killed"],
        survived=len(counted),
        wording=len(survivors) - len(counted),
        timeouts=many["timeout"],
        unreached=many["no tests"],
        not_run=many["not checked"],
        other=len(status) - known,
    ), counted


def only_wording(diff: str) -> bool:
    """Whether a mutant's diff changes nothing but one string literal that is a sentence: it has a blank in it."""
    lines = diff.splitlines()
    old = [line[1:] for line in lines if line.startswith("-") and not line.startswith("---")]
    new = [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]
    if len(old) != 1 or len(new) != 1:
        return False
    before, after = old[0], new[0]
    return any(
        before.replace(literal, mutated, 1) == after
        for literal in _sentences(before)
        for mutated in _mutations(literal)
    )


def _sentences(line: str) -> list[str]:
    """The string literals of a line, as written, that have a blank in them."""
    return [
        line[begin : end + 1]
        for quote in "\"'"
        for begin in (i for i, sign in enumerate(line) if sign == quote)
        for end in (i for i, sign in enumerate(line) if sign == quote and i > begin)
        if " " in line[begin:end] and _is_text(line[begin : end + 1])
    ]


def _is_text(literal: str) -> bool:
    try:
        return isinstance(ast.literal_eval(literal), str)
    except (SyntaxError, ValueError):
        return False


def _mutations(literal: str) -> list[str]:
    text = literal[1:-1]
    return [literal[0] + changed + literal[-1] for changed in (f"XX{text}XX", text.lower(), text.upper())]


def table(scores: Mapping[str, Score]) -> str:
    """A line for each module of which something was run, and the total."""
    shown = {name: one for name, one in sorted(scores.items()) if one != Score(not_run=one.not_run)}
    rows: list[tuple[str, ...]] = [
        ("module", "killed", "survived", "score", "wording", "timeouts", "unreached", "not run", "other")
    ]
    for name, one in [*shown.items(), ("total", sum(shown.values(), Score()))]:
        percent = "-" if one.percent is None else f"{one.percent:.1f} %"
        apart = (one.wording, one.timeouts, one.unreached, one.not_run, one.other)
        rows.append((name, str(one.killed), str(one.survived), percent, *map(str, apart)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    untouched = sorted(name for name in scores if name not in shown and scores[name].not_run)
    return "\n".join([*lines, *([f"not run at all: {', '.join(untouched)}"] if untouched else [])])


def main() -> None:
    """Print the table; `--survivors` also prints their diffs."""
    parser = argparse.ArgumentParser(description="The score of the last `make mutation`.")
    parser.add_argument("--survivors", action="store_true", help="print the diff of each survivor")
    asked = parser.parse_args()
    scores: dict[str, Score] = {}
    for meta in sorted(Path("mutants/limpet").rglob("*.py.meta")):
        path = meta.with_suffix("").relative_to("mutants")
        diffs: dict[str, str] = {}

        def is_wording(name: str, path: Path = path, diffs: dict[str, str] = diffs) -> bool:
            diffs[name] = get_diff_for_mutant(name, path=path)
            return only_wording(diffs[name])

        module = ".".join(path.with_suffix("").parts[1:])
        scores[module], survivors = score(json.loads(meta.read_text())["exit_code_by_key"], is_wording)
        if asked.survivors:
            click.echo("".join(f"# {name}\n{diffs[name]}\n" for name in survivors), nl=False)
    click.echo(table(scores))


if __name__ == "__main__":
    main()
