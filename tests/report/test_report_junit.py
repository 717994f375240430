"""junit.xml is XML whatever the backend wrote, and a CI server counts in it what the verdict says."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping

import pytest

from limpet.report.junit import document
from limpet.report.run import Run
from limpet.verdict import Finding, Judgement, Part

RunOf = Callable[..., Run]


def _suite(run: Run) -> ET.Element:
    suite = ET.fromstring(document(run).encode()).find("testsuite")  # noqa: S314  our own file
    assert suite is not None
    return suite


def _outcomes(suite: ET.Element) -> dict[str, tuple[str, str]]:
    outcomes = {}
    for case in suite.iter("testcase"):
        found = [child for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[case.attrib["name"]] = (found[0].tag, found[0].get("type", "")) if found else ("", "")
    return outcomes


def test_each_verdict_has_its_own_outcome(every_kind: Run) -> None:
    suite = _suite(every_kind)
    assert _outcomes(suite) == {
        "replicas": ("", ""),
        "session-record": ("error", "unknown"),
        "locking": ("failure", "violated"),
        "scaling": ("skipped", ""),
        "continuity": ("skipped", ""),
    }
    counted = {key: suite.attrib[key] for key in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "5", "failures": "1", "errors": "1", "skipped": "2"}


def test_a_failure_says_what_was_seen_expected_where_and_how_to_repeat_it(every_kind: Run) -> None:
    failure = _suite(every_kind).find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("locking violated: backend-1 committed")
    for piece in ("one holder at a time", "history-gw0.jsonl lines 3, 4", "limpet verify --only locking --seed 71"):
        assert piece in (failure.text or "")


def test_a_skipped_case_says_why(every_kind: Run) -> None:
    messages = [skipped.attrib["message"] for skipped in _suite(every_kind).iter("skipped")]
    assert messages == [
        "unsupported: no permission to patch deployments/scale",
        "not claimed: the contract does not claim it",
    ]


def test_hostile_text_is_still_xml(hostile: Run) -> None:
    suite = _suite(hostile)
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "<script>alert(1)</script>" in (failure.text or "")
    assert r"\x1b[31m \x00 ]]>" in (failure.text or "")
    assert suite.find(".//script") is None


@pytest.mark.parametrize(
    ("verdicts", "changes"),
    [
        ([], {}),
        (["not claimed"], {}),
        (["held"], {"error": "redis: exited with 1"}),
        (["held"], {"interrupted": True}),
        (["held", "unsupported"], {"required": ("scaling",)}),
        (["held"], {"required": ("takeover",)}),
    ],
    ids=["nothing", "nothing judged", "failed", "interrupted", "required and unsupported", "required and not there"],
)
def test_a_run_that_is_not_good_never_looks_good(
    run_of: RunOf, rows: Mapping[str, Judgement], verdicts: list[str], changes: dict[str, object]
) -> None:
    run = run_of(*(rows[verdict] for verdict in verdicts), **changes)
    assert run.exit_code != 0
    suite = _suite(run)
    assert int(suite.attrib["errors"]) == 1 == len(list(suite.iter("error")))


def test_a_good_run_has_neither_failures_nor_errors(run_of: RunOf, rows: Mapping[str, Judgement]) -> None:
    suite = _suite(run_of(rows["held"], rows["not claimed"]))
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "0")


def test_thousands_of_findings_stay_a_small_file(run_of: RunOf) -> None:
    findings = tuple(Finding("a", "nothing", "x" * 10_000) for _ in range(5_000))
    text = document(run_of(Judgement("locking", (Part("a", findings=findings),))))
    assert "and 4,950 findings more" in text
    assert len(text) < 200_000
