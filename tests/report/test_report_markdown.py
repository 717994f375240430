"""summary.md says the whole verdict, and nothing that a backend wrote becomes markup in it or calls people."""

import re
from collections.abc import Callable, Mapping

from limpet.report.markdown import document
from limpet.report.run import Run
from limpet.verdict import Finding, Judgement, Part

RunOf = Callable[..., Run]


def test_it_opens_with_the_last_line_and_ends_with_the_command(every_kind: Run) -> None:
    text = document(every_kind)
    assert text.startswith("### limpet: held 1, unknown 1, violated 1, unsupported 1, not claimed 1\n")
    assert text.endswith("Repeat:\n\n```text\nlimpet verify --seed 71\n```\n")


def test_every_verdict_has_its_row(every_kind: Run) -> None:
    rows = [row for row in document(every_kind).splitlines() if row.startswith("| ")][1:]
    assert [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows] == [
        ("replicas", "✅ held"),
        ("session-record", "❔ unknown"),
        ("locking", "❌ violated"),
        ("scaling", "unsupported"),
        ("continuity", "not claimed"),
    ]


def test_parts_that_are_not_held_are_named_with_their_reason(every_kind: Run) -> None:
    text = document(every_kind)
    assert "- **session-record / keys** unknown: not exercised enough: 12 of 50 sessions" in text
    assert r"- **locking / fence** cannot be shown: the contract has no redis.fence" in text


def test_a_finding_is_told_in_full(every_kind: Run) -> None:
    text = document(every_kind)
    assert "locking violated: backend-1 committed session 7d3" in text
    assert "expected: one holder at a time\nhistory-gw0.jsonl lines 3, 4" in text
    assert "Repeat: limpet verify --only locking --seed 71" in text


def test_a_damaged_history_is_told(every_kind: Run) -> None:
    assert "**history** damaged: its end was never written" in document(every_kind, ["its end was never written"])
    assert "damaged" not in document(every_kind)


def test_troubles_of_the_run_are_told(run_of: RunOf) -> None:
    text = document(run_of(error="redis: exited with 1", interrupted=True))
    assert "- **verify** failed: redis: exited with 1\n- **verify** interrupted: " in text


def test_hostile_text_is_no_markup(hostile: Run) -> None:
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", document(hostile))
    assert "<script" not in outside
    assert not re.search(r"(?<!\\)`", outside)
    assert "@team" not in outside
    assert {row.count("|") - row.count(r"\|") for row in outside.splitlines() if row.startswith("| ")} == {6}


def test_a_fence_is_longer_than_any_in_its_text(run_of: RunOf) -> None:
    finding = Finding("a", "nothing", "```\n# not a heading\n````")
    text = document(run_of(Judgement("locking", (Part("a", findings=(finding,)),))))
    assert text.count("`````") == 2


def test_thousands_of_findings_stay_a_comment(run_of: RunOf, rows: Mapping[str, Judgement]) -> None:
    findings = tuple(Finding("a", "nothing", "x" * 10_000) for _ in range(5_000))
    text = document(run_of(rows["held"], Judgement("locking", (Part("a", findings=findings),))))
    assert "and 4,995 more" in text
    assert len(text) < 65_536
