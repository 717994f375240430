"""junit.xml: one test case per guarantee, in the form that CI servers read.

Violated is a failure and unknown an error, each with its name as the type; unsupported and not claimed are skipped.
What ails the run as a whole is a test case of its own, so that a run that came to nothing does not look like a good
one.
"""

from collections.abc import Iterator

from limpet.report.markup import Markup, join, tag
from limpet.report.run import Run
from limpet.report.wording import Remark, accusation, clipped, figures, one_line, remarks, repeat, troubles
from limpet.verdict import Judgement, Verdict

_FINDINGS_MAX = 50  # per guarantee; some servers refuse large files
_TEXT_MAX = 2_000  # characters of one finding


def document(run: Run) -> str:
    """The file's text: `testsuites` with one `testsuite`, as the common readers (Jenkins, GitLab, GitHub) agree on."""
    ailing = troubles(run)
    unmet = {remark.about: remark for remark in ailing if remark.kind == "required"}
    cases = [_case(run, judgement, unmet.pop(judgement.guarantee, None)) for judgement in run.judgements]
    others = [remark for remark in ailing if remark.kind != "required"] + list(unmet.values())
    cases += [_trouble(run, remark) for remark in others]
    outcomes = {kind: sum(f"<{kind} " in case for case in cases) for kind in ("failure", "error", "skipped")}
    total: dict[str, str | float] = {
        "tests": len(cases),
        "failures": outcomes["failure"],
        "errors": outcomes["error"],
        "skipped": outcomes["skipped"],
        "time": f"{run.duration_s:.3f}",
    }
    facts: dict[str, str | float] = {
        "seed": run.seed,
        "contract": run.contract,
        "target": run.target,
        "replicas": run.replicas,
        "version": run.version,
        "command": run.command,
    }
    suite = tag(
        "testsuite",
        "\n",
        tag("properties", *(tag("property", name=name, value=value or "-") for name, value in facts.items())),
        *(piece for case in cases for piece in ("\n", case)),
        "\n",
        name=f"limpet {run.what}",
        timestamp=run.started[:19],  # the format has no zone; it is UTC
        **total,
    )
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tag("testsuites", "\n", suite, "\n", **total) + "\n"


def _case(run: Run, judgement: Judgement, unmet: Remark | None) -> Markup:
    name, verdict = judgement.guarantee, judgement.verdict
    reasons = "\n".join(f"{remark.about}: {remark.kind}: {remark.reason}" for remark in remarks(judgement))
    outcome = Markup()
    if verdict is Verdict.VIOLATED:
        text = "\n\n".join(_findings(run, judgement))
        message = accusation(judgement, judgement.findings[0]) if judgement.findings else judgement.reason
        outcome = tag("failure", f"{reasons}\n\n{text}", type=verdict, message=_message(message))
    elif verdict is Verdict.UNKNOWN:
        text = f"{reasons}\nRepeat: {repeat(run, name)}"
        outcome = tag("error", text, type=verdict, message=_message(reasons))
    elif unmet:
        message = f"{unmet.reason}: {judgement.reason}"
        outcome = tag("error", reasons, type=unmet.kind, message=_message(message))
    elif verdict is not Verdict.HELD:
        outcome = tag("skipped", message=_message(f"{verdict}: {judgement.reason}" if judgement.reason else verdict))
    shown = figures(judgement.evidence)
    output = tag("system-out", shown) if shown else Markup()
    return tag(
        "testcase",
        join(outcome, output),
        classname=f"limpet.{one_line(run.contract)}",
        name=name,
        time=f"{judgement.duration_s:.3f}",
    )


def _findings(run: Run, judgement: Judgement) -> Iterator[str]:
    for finding in judgement.findings[:_FINDINGS_MAX]:
        lines = (accusation(judgement, finding), f"expected: {finding.expected}", finding.where)
        yield "\n".join(clipped(text, _TEXT_MAX) for text in lines if text)
    if len(judgement.findings) > _FINDINGS_MAX:
        yield f"and {len(judgement.findings) - _FINDINGS_MAX:,} findings more, in verdict.json"
    yield f"Repeat: {repeat(run, judgement.guarantee)}"


def _trouble(run: Run, remark: Remark) -> Markup:
    problem = tag("error", remark.reason, type=remark.kind, message=_message(f"{remark.kind}: {remark.reason}"))
    name = f"({remark.about})"
    return tag("testcase", problem, classname=f"limpet.{one_line(run.contract)}", name=name, time="0.000")


def _message(text: str) -> str:
    return one_line(clipped(text, _TEXT_MAX))
