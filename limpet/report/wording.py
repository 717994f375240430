"""How a verdict is put into words, the same in every form: figures, reasons, what went wrong, how to repeat it.

Much of this text comes from the backend under test, so nothing of it reaches a terminal or a file
unless it went through `clean`.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpet.report.run import Run
from limpet.verdict import Finding, Judgement, Verdict

_UNIT = re.compile(r"(?P<name>\w+?)_(?P<unit>ns|us|ms|s)(?:_(?P<which>\w+))?")
_MINUTE_S = 60
_SHORT_S = 10
_LARGE = 1000


@dataclass(frozen=True, slots=True)
class Remark:
    """Why something is not simply held.

    Attributes:
        about: a guarantee, one of its parts as "locking / fence", or the run.
        kind: in a word or two: a verdict, "cannot be shown", "interrupted".
    """

    about: str
    kind: str
    reason: str


def clean(text: str) -> str:
    r"""The text with everything that is not printable written out (`\x1b`), but for line ends and tabs.

    Terminals obey escape sequences, XML 1.0 forbids most control characters and UTF-8 lone surrogates, and text can be
    turned round by direction marks.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """The cleaned text with any white space as one blank."""
    return " ".join(clean(text).split())


def clipped(text: str, length_max: int) -> str:
    """The cleaned text, cut at `length_max` characters with a word on how much is missing."""
    text = clean(text)
    return text if len(text) <= length_max else f"{text[:length_max]}... ({len(text) - length_max:,} characters more)"


def took(duration_s: float) -> str:
    """`0.84 s`, `12.3 s`, `2 min 5 s`."""
    if duration_s < _SHORT_S:
        return f"{duration_s:.2f} s"
    if duration_s < _MINUTE_S:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), _MINUTE_S)
    return f"{minutes} min {seconds} s"


def figures(evidence: Mapping[str, Any]) -> str:
    """`50 sessions, worst gap 89 ms`: counts before their names, all else after; units as in `worst_gap_ms`."""
    return ", ".join(one_line(_figure(name, value)) for name, value in evidence.items())


def _figure(name: str, value: Any) -> str:
    if unit := _UNIT.fullmatch(name):
        words = " ".join(word for word in (unit["name"], unit["which"]) if word).replace("_", " ")
        return f"{words} {_value(value)} {unit['unit']}"
    words = name.replace("_", " ")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{_value(value)} {words}"
    return f"{words} {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.3g}"
    if isinstance(value, Mapping):
        return " / ".join(f"{key} {_value(inner)}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " / ".join(map(_value, value))
    return str(value)


def remarks(judgement: Judgement) -> list[Remark]:
    """Why the guarantee, and which of its parts, are unknown, violated or cannot be shown here."""
    name, verdict = judgement.guarantee, judgement.verdict
    said = []
    for part in judgement.parts:
        about = f"{name} / {part.name}"
        if part.missing:
            said.append(Remark(about, "cannot be shown", part.missing))
        elif part.findings:
            said.append(Remark(about, part.verdict, counted(len(part.findings), "finding")))
        elif part.verdict is not Verdict.HELD:
            said.append(Remark(about, part.verdict, part.reason))
    if verdict is Verdict.NOT_CLAIMED:
        return said
    reason = judgement.reason
    if verdict is Verdict.UNKNOWN and not reason and not any(part.verdict.judged for part in judgement.parts):
        reason = "none of its parts can be shown" if judgement.parts else "it was not judged"
    return [Remark(name, verdict, reason), *said] if reason else said


def troubles(run: Run) -> list[Remark]:
    """What is wrong with the run as a whole, whatever the single guarantees say."""
    said = []
    if run.error:
        said.append(Remark(run.what, "failed", run.error))
    if run.interrupted:
        said.append(Remark(run.what, "interrupted", "stopped before everything was judged"))
    verdicts = {judgement.guarantee: judgement.verdict for judgement in run.judgements}
    said += [
        Remark(name, "required", f"it must be held, and is {verdicts.get(name, 'not there')}") for name in run.unmet
    ]
    if not said and not any(verdict.judged for verdict in verdicts.values()):
        said.append(Remark(run.what, Verdict.UNKNOWN, "nothing was judged"))
    return said


def repeat(run: Run, guarantee: str) -> str:
    """The command that shows one guarantee again: `limpet verify --only locking --seed 71`."""
    try:
        words = shlex.split(run.command)
    except ValueError:
        words = []
    if len(words) < 2:  # noqa: PLR2004  the program and what it does
        return f"limpet verify --only {shlex.quote(guarantee)} --seed {run.seed}"
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if "--only" not in (before, word) and not word.startswith("--only=")
    ]
    return shlex.join([*kept[:2], "--only", guarantee, *kept[2:]])


def accusation(judgement: Judgement, finding: Finding) -> str:
    """The first line of a finding, as in `locking violated: backend-1 committed session 7d3 with a stale fence`."""
    seen = finding.seen.rstrip()
    return f"{judgement.guarantee} violated: {seen}{'' if seen.endswith(('.', '!', '?')) else '.'}"


def counted(count: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
