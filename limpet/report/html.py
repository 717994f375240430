"""report.html: the verdict to be read, in one file that needs nothing beside it: no script, no font, no network."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from limpet.report.evidence import finding_block, parts_table, timeline_card
from limpet.report.markup import Markup, join, tag
from limpet.report.recorded import Recorded
from limpet.report.run import Run, line
from limpet.report.wording import counted, figures, remarks, took, troubles
from limpet.verdict import Finding, Judgement, Verdict

_FINDINGS_MAX = 100  # per guarantee
_CLASSES = {Verdict.HELD: "held", Verdict.UNKNOWN: "unknown", Verdict.VIOLATED: "violated"}
_SIGNS = {Verdict.HELD: "✓ ", Verdict.UNKNOWN: "? ", Verdict.VIOLATED: "✗ "}
# Nothing in the page may run or be fetched, whatever a backend smuggled into it.
_HEAD = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
)

Numbered = dict[str, list[tuple[int, Finding]]]  # guarantee -> its findings, numbered through the whole run


def document(run: Run, recorded: Sequence[Recorded]) -> str:
    """The file's text; `recorded` is what the run's histories hold, in the order to be shown."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    title = f"limpet {run.what}: {run.contract}"
    head = Markup(_HEAD + tag("title", title) + "\n" + tag("style", Markup(style)) + "\n</head>\n")
    body = tag("body", tag("main", *(piece for block in _blocks(run, recorded) for piece in ("\n", block)), "\n"))
    return head + body + "\n</html>\n"


def _blocks(run: Run, recorded: Sequence[Recorded]) -> Iterator[Markup]:
    yield _top(run)
    yield from _troubles(run, recorded)
    findings = _numbered(run)
    if run.judgements:
        yield tag("h2", "Verdicts")
        yield tag("div", _verdicts(run), class_="card scroll")
    shown = [judgement for judgement in run.judgements if judgement.parts or judgement.verdict.judged]
    if shown:
        yield tag("h2", "What they rest on")
        for judgement in shown:
            yield _detail(run, judgement, findings[judgement.guarantee], recorded)
    drawn = [history for history in recorded if history.drawing]
    if drawn:
        yield tag("h2", "What happened when")
        everything = [pair for pairs in findings.values() for pair in pairs]
        for history in drawn:
            yield timeline_card(history, everything)
    yield tag("h2", "Repeat")
    yield tag("pre", run.command or "-")


def _numbered(run: Run) -> Numbered:
    findings: Numbered = {}
    number = 0
    for judgement in run.judgements:
        shown = judgement.findings[:_FINDINGS_MAX]
        findings[judgement.guarantee] = list(enumerate(shown, number + 1))
        number += len(shown)
    return findings


def _top(run: Run) -> Markup:
    facts = {
        "contract": run.contract,
        "target": f"{run.target}, {counted(run.replicas, 'replica')}",
        "seed": str(run.seed),
        "started": run.started.replace("T", " ").replace("Z", " UTC"),
        "took": took(run.duration_s),
        "exit code": str(run.exit_code),
        "limpet": run.version,
    }
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items())
    return join(
        tag("h1", f"{run.contract} ", _overall(run)),
        tag("p", line(run), class_="line"),
        tag("dl", *pairs, class_="facts"),
    )


def _overall(run: Run) -> Markup:
    if any(judgement.verdict is Verdict.VIOLATED for judgement in run.judgements):
        return _badge(Verdict.VIOLATED)
    if run.interrupted:
        return tag("span", "interrupted", class_="badge unknown")
    if run.error:
        return tag("span", "failed", class_="badge violated")
    return _badge(Verdict.UNKNOWN if run.exit_code else Verdict.HELD)


def _badge(verdict: Verdict) -> Markup:
    return tag("span", f"{_SIGNS.get(verdict, '')}{verdict}", class_=f"badge {_CLASSES.get(verdict, 'none')}")


def _troubles(run: Run, recorded: Sequence[Recorded]) -> Iterator[Markup]:
    for remark in troubles(run):
        class_ = "card trouble bad" if remark.kind == "failed" else "card trouble"
        yield tag("div", tag("strong", f"{remark.about} {remark.kind}"), ": ", remark.reason, class_=class_)
    for history in recorded:
        if history.damage:
            words = f": {history.damage}. What rests on it cannot be checked."
            yield tag("div", tag("strong", "History damaged"), words, class_="card trouble bad")


def _verdicts(run: Run) -> Markup:
    heads = ("guarantee", "verdict", "evidence", "budget")
    head = tag("tr", *(tag("th", name) for name in heads), tag("th", "duration", class_="number"))
    return tag("table", tag("thead", head), tag("tbody", *map(_verdict, run.judgements)))


def _verdict(judgement: Judgement) -> Markup:
    verdict = judgement.verdict
    name: str = judgement.guarantee
    if judgement.parts or verdict.judged:
        name = tag("a", name, href=f"#{judgement.guarantee}")
    evidence = figures(judgement.evidence)
    if judgement.reason:
        evidence = f"{evidence}; {judgement.reason}" if evidence else judgement.reason
    return tag(
        "tr",
        tag("td", name, class_="name"),
        tag("td", _badge(verdict)),
        tag("td", evidence),
        tag("td", judgement.budget),
        tag("td", took(judgement.duration_s) if judgement.duration_s else "", class_="number"),
        class_="" if verdict.judged else "aside",
    )


def _detail(
    run: Run, judgement: Judgement, findings: Sequence[tuple[int, Finding]], recorded: Sequence[Recorded]
) -> Markup:
    blocks = [finding_block(run, judgement, number, finding, recorded) for number, finding in findings]
    if len(judgement.findings) > len(findings):
        more = len(judgement.findings) - len(findings)
        blocks.append(tag("p", f"and {more:,} findings more, in verdict.json"))
    about_itself = [remark.reason for remark in remarks(judgement) if remark.about == judgement.guarantee]
    inside = tag(
        "div",
        *(tag("p", reason) for reason in about_itself),
        *([parts_table(judgement)] if judgement.parts else []),
        *blocks,
        id=judgement.guarantee,  # inside, since a browser opens what hides the target of a link
    )
    title = tag("summary", judgement.guarantee, " ", _badge(judgement.verdict))
    return tag("details", title, inside, class_="card", open="" if judgement.verdict is Verdict.HELD else "open")
