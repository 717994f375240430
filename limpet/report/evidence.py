"""The pieces of report.html that show what a verdict rests on: parts, findings with the lines they quote, timelines."""

from collections.abc import Iterator, Sequence

from limpet.report.markup import Markup, join, tag
from limpet.report.picture import picture
from limpet.report.recorded import Recorded, pointers
from limpet.report.run import Run
from limpet.report.timeline import Strike, Timeline
from limpet.report.wording import accusation, clipped, counted, repeat
from limpet.verdict import Finding, Judgement, Part, Verdict

_TEXT_MAX = 4_000  # characters of one finding's line
_QUOTE_MAX = 1_500  # characters of one quoted line
_QUOTES_MAX = 20  # lines of one finding
_LEGEND = (
    ("ready", "ready"),
    ("pending", "starting"),
    ("not-ready", "not ready"),
    ("terminating", "terminating"),
    ("op-ok", "operations ok"),
    ("op-fail", "fail: did not happen"),
    ("op-info", "info: may have happened"),
    ("strike", "fault"),
    ("mark", "finding"),
)


def parts_table(judgement: Judgement) -> Markup:
    """One row for each part, with how much was exercised of how much is enough."""
    heads = (tag("th", name) for name in ("part", "verdict", "exercised", ""))
    return tag("div", tag("table", tag("tr", *heads), *map(_part, judgement.parts)), class_="scroll")


def _part(part: Part) -> Markup:
    word = "cannot be shown" if part.missing else part.verdict
    class_ = "none" if part.missing else part.verdict.value
    reason = counted(len(part.findings), "finding") if part.verdict is Verdict.VIOLATED else part.reason
    return tag(
        "tr",
        tag("td", part.name, class_="name"),
        tag("td", tag("span", word, class_=f"badge {class_}")),
        tag("td", "" if part.missing else _meter(part, class_)),
        tag("td", clipped(reason, _TEXT_MAX)),
        class_="aside" if part.missing else "",
    )


def _meter(part: Part, class_: str) -> Markup:
    share = 100 * min(1.0, max(0.0, part.had / part.enough)) if part.enough > 0 else 100.0
    bar = tag("div", tag("i", style=f"width:{share:.4g}%"), class_=f"meter {class_}")
    return join(bar, tag("span", f"{part.had:,} of {part.enough:,} {part.what}", class_="enough"))


def finding_block(
    run: Run, judgement: Judgement, number: int, finding: Finding, recorded: Sequence[Recorded]
) -> Markup:
    """A finding: what was seen, what was expected, the lines that show it, and how to repeat it."""
    return tag(
        "div",
        tag("p", f"{number}. ", clipped(accusation(judgement, finding), _TEXT_MAX), class_="seen"),
        tag("p", tag("span", "Expected: ", class_="soft"), clipped(finding.expected, _TEXT_MAX)),
        tag("p", tag("span", f"Part {finding.part}. {clipped(finding.where, _TEXT_MAX)}", class_="soft")),
        *_quotes(finding, recorded),
        tag("p", "Repeat: ", tag("code", repeat(run, judgement.guarantee))),
        class_="found",
        id=f"finding-{number}",
    )


def _quotes(finding: Finding, recorded: Sequence[Recorded]) -> Iterator[Markup]:
    files = {history.source: history for history in recorded}
    for source, numbers in pointers(finding.where):
        history = files.get(source)
        if history is None or history.drawing is None:
            yield tag("p", f"{source} cannot be read, so its lines are not quoted.", class_="soft")
            continue
        rows: list[Markup] = []
        for number in numbers[:_QUOTES_MAX]:
            quote = history.quotes.get(number)
            at = f"{quote.at_s:.3f} s" if quote else ""
            text = clipped(quote.text, _QUOTE_MAX) if quote else f"not there: {source} has {history.lines:,} lines"
            rows += [
                tag("span", f"{number}", class_="at"),
                tag("span", at, class_="at"),
                tag("span", text, class_="json"),
            ]
        yield tag("pre", *rows, class_="quote")
        if len(numbers) > _QUOTES_MAX:
            yield tag("p", f"and {counted(len(numbers) - _QUOTES_MAX, 'line')} more of {source}", class_="soft")


def timeline_card(history: Recorded, findings: Sequence[tuple[int, Finding]]) -> Markup:
    """The picture of one history, with its faults in words; `findings` are all of the run, numbered."""
    drawing = history.drawing
    if drawing is None:
        raise ValueError(f"{history.source} cannot be read, so it cannot be drawn")
    marks = [
        (number, history.quotes[at].at_s)
        for number, finding in findings
        for source, lines in pointers(finding.where)
        for at in lines
        if source == history.source and at in history.quotes
    ]
    facts = f"{history.source}, {history.lines:,} lines over {drawing.duration_s:.2f} s"
    if drawing.lanes_left_off:
        facts += f", {counted(drawing.lanes_left_off, 'pod')} more than are drawn"
    legend = (tag("span", tag("i", class_=class_), text) for class_, text in _LEGEND)
    return tag(
        "div",
        tag("h3", history.guarantee, style="margin-top:0"),
        tag("p", facts, class_="soft"),
        tag("div", picture(drawing, marks), class_="scroll"),
        tag("div", *legend, class_="legend"),
        *_strikes(drawing),
        class_="card",
    )


def _strikes(drawing: Timeline) -> Iterator[Markup]:
    if not drawing.strikes:
        return
    heads = (tag("th", name) for name in ("fault", "steps"))
    rows = (tag("tr", tag("td", strike.fault, class_="name"), tag("td", _steps(strike))) for strike in drawing.strikes)
    table = tag("table", tag("tr", *heads), *rows)
    yield tag("details", tag("summary", "Faults", style="font-size:14px"), tag("div", table, class_="scroll"))


def _steps(strike: Strike) -> str:
    said = (f"{step.phase} {step.at_s:.3f} s" + (f" ({step.why})" if step.why else "") for step in strike.steps)
    return ", ".join(said)
