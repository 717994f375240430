"""summary.md: the verdict as a comment on a pull request, or as the summary of a pipeline's step."""

import re
from collections.abc import Iterator, Sequence

from limpet.report.run import Run, line
from limpet.report.wording import (
    Remark,
    accusation,
    clean,
    clipped,
    counted,
    figures,
    one_line,
    remarks,
    repeat,
    took,
    troubles,
)
from limpet.verdict import Judgement, Verdict

_FINDINGS_MAX = 5  # per guarantee; a comment holds 65,536 characters
_TEXT_MAX = 600  # characters of one finding's line
_MARKS = {Verdict.HELD: "✅", Verdict.UNKNOWN: "❔", Verdict.VIOLATED: "❌"}


def document(run: Run, damage: Sequence[str] = ()) -> str:
    """The file's text; `damage` says what is wrong with the histories that the verdict rests on."""
    return "\n\n".join(_blocks(run, damage)) + "\n"


def _blocks(run: Run, damage: Sequence[str]) -> Iterator[str]:
    yield f"### {_plain(line(run))}"
    yield _plain(
        f"Contract {run.contract}, target {run.target}, {counted(run.replicas, 'replica')}, seed {run.seed}, "
        f"limpet {run.version}, started {run.started}, took {took(run.duration_s)}, exit code {run.exit_code}."
    )
    ailing = [*troubles(run), *(Remark("history", "damaged", text) for text in damage)]
    if ailing:
        yield "\n".join(map(_bullet, ailing))
    if run.judgements:
        rows = ["| guarantee | verdict | evidence | budget | duration |", "|---|---|---|---|---:|"]
        yield "\n".join(rows + [_row(judgement) for judgement in run.judgements])
    said = [remark for judgement in run.judgements for remark in remarks(judgement)]
    if said:
        yield "\n".join(map(_bullet, said))
    for judgement in run.judgements:
        if judgement.findings:
            yield f"#### {_plain(judgement.guarantee)}: {counted(len(judgement.findings), 'finding')}"
            yield _fenced("\n\n".join(_findings(run, judgement)))
    yield "Repeat:"
    yield _fenced(run.command)


def _row(judgement: Judgement) -> str:
    verdict = judgement.verdict
    cells = (
        judgement.guarantee,
        f"{_MARKS.get(verdict, '')} {verdict}",
        figures(judgement.evidence) or ("" if verdict.judged else judgement.reason),
        judgement.budget,
        took(judgement.duration_s) if judgement.duration_s else "",
    )
    return f"| {' | '.join(map(_plain, cells))} |"


def _bullet(remark: Remark) -> str:
    return f"- **{_plain(remark.about)}** {_plain(remark.kind)}: {_plain(clipped(remark.reason, _TEXT_MAX))}"


def _findings(run: Run, judgement: Judgement) -> Iterator[str]:
    for finding in judgement.findings[:_FINDINGS_MAX]:
        lines = (accusation(judgement, finding), f"expected: {finding.expected}", finding.where)
        yield "\n".join(clipped(one_line(text), _TEXT_MAX) for text in lines if text)
    if len(judgement.findings) > _FINDINGS_MAX:
        yield f"and {len(judgement.findings) - _FINDINGS_MAX:,} more, in report.html and verdict.json"
    yield f"Repeat: {repeat(run, judgement.guarantee)}"


def _plain(text: str) -> str:
    """Text that reads as itself: no markup, no HTML, no table cell's end, and nobody is mentioned by it."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", one_line(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@&#8203;").replace("://", ":&#8203;//")


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any in the text."""
    text = clean(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
