"""What the terminal shows at the end: the table of verdicts, why some are not held, the findings, and one last line."""

from pathlib import Path

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from limpet.report.run import Run, line
from limpet.report.wording import Remark, accusation, clean, clipped, figures, one_line, remarks, repeat, took, troubles
from limpet.verdict import Judgement, Verdict

_FINDINGS_MAX = 5  # per guarantee; the rest is in the report
_TEXT_MAX = 1_000  # characters of one finding's line
_INDENT = 2

_STYLES: dict[str, str] = {
    Verdict.HELD: "green",
    Verdict.UNKNOWN: "yellow",
    Verdict.VIOLATED: "bold red",
    Verdict.UNSUPPORTED: "dim",
    Verdict.NOT_CLAIMED: "dim",
    "required": "yellow",
    "interrupted": "yellow",
    "failed": "bold red",
}


def console() -> Console:
    """Standard output: coloured on a terminal, plain (and 80 columns wide) elsewhere; nothing in the text is markup."""
    return Console(highlight=False, markup=False, emoji=False)


def show(run: Run, directory: Path, out: Console) -> None:
    """Print the run; the last line is the run directory, the one before it the verdict in one line."""
    if run.judgements:
        out.print(_table(run))
    said = [remark for judgement in run.judgements if judgement.parts for remark in remarks(judgement)] + _unjudged(run)
    if said:
        out.print(Group(Text(), *map(_remark, said)))
    for judgement in run.judgements:
        _findings(run, judgement, out)
    ailing = troubles(run)
    if ailing:
        out.print(Group(Text(), *map(_remark, ailing)))
    out.print()
    out.print(Text(line(run), style=_overall(run)), soft_wrap=True)
    out.print(Text(clean(str(directory))), soft_wrap=True)


def _overall(run: Run) -> str:
    if run.exit_code == 0:
        return "bold green"
    return "bold red" if any(j.verdict is Verdict.VIOLATED for j in run.judgements) or run.error else "bold yellow"


def _table(run: Run) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("guarantee", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("evidence")
    budgets = any(judgement.budget for judgement in run.judgements)
    if budgets:
        table.add_column("budget")
    table.add_column("duration", justify="right", no_wrap=True)
    for judgement in run.judgements:
        verdict = judgement.verdict
        style = _STYLES[verdict]
        dim = "" if verdict.judged else "dim"
        cells = [
            Text(one_line(judgement.guarantee), style=dim),
            Text(verdict, style=style),
            Text(figures(judgement.evidence), style=dim),
            Text(took(judgement.duration_s) if judgement.duration_s else "", style=dim),
        ]
        if budgets:
            cells.insert(3, Text(one_line(judgement.budget), style=dim))
        table.add_row(*cells)
    return table


def _unjudged(run: Run) -> list[Remark]:
    """One remark for each reason why guarantees were not judged; usually most of the rows share one."""
    about: dict[tuple[Verdict, str], list[str]] = {}
    for row in run.judgements:
        for remark in () if row.parts else remarks(row) or [Remark(row.guarantee, row.verdict, row.reason)]:
            if remark.reason:
                about.setdefault((row.verdict, remark.reason), []).append(row.guarantee)
    return [Remark(", ".join(names), verdict, reason) for (verdict, reason), names in about.items()]


def _remark(remark: Remark) -> Table:
    text = Text(f"{one_line(remark.about)} ")
    text.append(remark.kind, style=_STYLES.get(remark.kind, "dim"))
    text.append(f": {clipped(remark.reason, _TEXT_MAX)}")
    hanging = Table.grid(padding=(0, 1, 0, 0))
    hanging.add_row("-", text)
    return hanging


def _findings(run: Run, judgement: Judgement, out: Console) -> None:
    again = f"Repeat: {clean(repeat(run, judgement.guarantee))}"
    for finding in judgement.findings[:_FINDINGS_MAX]:
        title = Text(clipped(accusation(judgement, finding), _TEXT_MAX))
        title.stylize("bold red", 0, len(f"{judgement.guarantee} violated"))
        out.print(Text(), title, sep="\n")
        out.print(_indented(f"expected: {clipped(finding.expected, _TEXT_MAX)}"))
        where = one_line(clipped(finding.where, _TEXT_MAX))
        last = f"{where}. {again}" if where else again
        if where and len(last) + _INDENT > out.width:
            out.print(_indented(f"{where}."))
            last = again
        # Never broken into lines by us: a command has to be copied in one piece.
        out.print(Text(" " * _INDENT + last), soft_wrap=True)
    if len(judgement.findings) > _FINDINGS_MAX:
        more = len(judgement.findings) - _FINDINGS_MAX
        out.print(Text(f"\n{one_line(judgement.guarantee)} violated: and {more:,} more, in report.html"))


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, _INDENT), expand=False)
