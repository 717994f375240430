"""The matrix of the selfcheck for people: bugs down, what was said of them across; on the terminal and in Markdown."""

from collections.abc import Sequence

from rich.table import Table

from limpet.contract import GUARANTEES
from limpet.verdict import Verdict
from planted.judging import Row

SIGNS = {Verdict.HELD: ".", Verdict.VIOLATED: "X", Verdict.UNKNOWN: "?"}
LEGEND = "X violated, . held, ? unknown; [X] is what must catch it, (X) what may rightly be blamed too"


def line(row: Row) -> str:
    """One row in words, as progress shows it."""
    said = ", ".join(f"{name} {verdict}" for name, verdict in row.verdicts.items()) or "nothing was judged"
    if not row.bug and row.verdicts and not row.wrong:
        said = f"{len(row.verdicts)} guarantees held"
    after = "" if row.caught_s is None else f", caught after {row.caught_s:.1f} s"
    wrong = "".join(f"\n      WRONG {text}" for text in row.wrong)
    return f"{row.name}: {said}{after} ({row.took_s:.0f} s){wrong}"


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """The signs of one row."""
    return [_cell(row, guarantee) for guarantee in columns]


def _cell(row: Row, guarantee: str) -> str:
    sign = SIGNS.get(row.verdicts[guarantee], "-") if guarantee in row.verdicts else ""
    if row.bug and guarantee == row.bug.caught_by:
        return f"[{sign}]"
    return f"({sign})" if sign and row.bug and guarantee in row.bug.also else sign


def columns(rows: Sequence[Row]) -> list[str]:
    """The guarantees that any row has something on, in their order."""
    return [name for name in GUARANTEES if any(name in row.verdicts for row in rows)]


def table(rows: Sequence[Row]) -> Table:
    """For the terminal; guarantees are numbered, which the lines below explain."""
    shown = columns(rows)
    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    drawn.add_column("bug", no_wrap=True)
    for number, _ in enumerate(shown, 1):
        drawn.add_column(str(number), justify="center", no_wrap=True)
    drawn.add_column("after", justify="right", no_wrap=True)
    for row in rows:
        drawn.add_row(row.name, *cells(row, shown), _after(row), style="bold red" if row.wrong else None)
    return drawn


def key(rows: Sequence[Row]) -> str:
    """What the numbers and the signs of the table stand for."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(columns(rows), 1)) + f"\n{LEGEND}"


def summary(rows: Sequence[Row], *, title: str, took_s: float) -> str:
    """Markdown."""
    shown = columns(rows)
    lines = [f"# {title}", "", verdict(rows, took_s), "", LEGEND + ".", ""]
    lines += [_row("bug", *shown, "caught after"), _row(":--", *(":-:" for _ in shown), "--:")]
    lines += [_row(row.name, *cells(row, shown), _after(row)) for row in rows]
    wrong = [f"- {row.name}: {text}" for row in rows for text in row.wrong]
    if wrong:
        lines += ["", "## Wrong", "", *wrong]
    lines += ["", "## The bugs", ""]
    lines += [f"- **{row.name}** ({row.bug.caught_by}): {' '.join(row.bug.story.split())}" for row in rows if row.bug]
    return "\n".join(lines) + "\n"


def verdict(rows: Sequence[Row], took_s: float) -> str:
    """The last line."""
    bugs = [row for row in rows if row.bug]
    caught = sum(row.bug is not None and row.verdicts.get(row.bug.caught_by) is Verdict.VIOLATED for row in bugs)
    wrong = sum(bool(row.wrong) for row in rows)
    return f"selfcheck: {caught} of {len(bugs)} bugs caught, {wrong} rows wrong, {took_s / 60:.1f} minutes"


def _after(row: Row) -> str:
    return "" if row.caught_s is None else f"{row.caught_s:.1f} s"


def _row(*cells_: str) -> str:
    return f"| {' | '.join(cells_)} |"
