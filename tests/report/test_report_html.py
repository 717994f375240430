"""report.html needs nothing beside it, runs nothing, and shows each verdict with the lines it rests on."""

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest

from limpet.errors import LimpetError
from limpet.report.html import document
from limpet.report.recorded import histories, pointers
from limpet.report.run import Run
from limpet.report.store import VERDICT_FILE
from limpet.report.write import redraw, write
from limpet.verdict import Finding, Judgement, Part

RunOf = Callable[..., Run]
FORMS = {VERDICT_FILE, "junit.xml", "summary.md", "report.html"}


class _Page(HTMLParser):
    """The page as a browser's parser sees it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(run: Run, directory: Path) -> _Page:
    findings = [finding for judgement in run.judgements for finding in judgement.findings]
    page = _Page(document(run, histories(directory, findings)))
    assert page.open == []
    return page


def _pointing(where: str) -> Judgement:
    return Judgement("locking", (Part("a", findings=(Finding("a", "nothing", "something", where),)),))


def test_every_verdict_is_shown(every_kind: Run, directory: Path) -> None:
    text = _page(every_kind, directory).text
    for piece in (
        "limpet: held 1, unknown 1, violated 1, unsupported 1, not claimed 1",
        "✓ held",
        "? unknown",
        "✗ violated",
        "no permission to patch deployments/scale",
        "the contract does not claim it",
        "not exercised enough: 12 of 50 sessions",
        "12 of 50 sessions",
        "the contract has no redis.fence",
    ):
        assert piece in text


def test_a_finding_quotes_its_lines(every_kind: Run, directory: Path) -> None:
    text = _page(every_kind, directory).text
    assert "0.500 s" in text
    assert '"data":{"fence":"<4>"}' in text
    assert "Repeat: limpet verify --only locking --seed 71" in text


def test_each_history_has_its_picture(every_kind: Run, directory: Path) -> None:
    page = _page(every_kind, directory)
    assert "svg" in page.tags
    assert "history-gw0.jsonl, 5 lines over 1.00 s" in page.text
    assert ("href", "#finding-1") in page.attributes
    assert ("id", "finding-1") in page.attributes


def test_nothing_is_fetched_and_nothing_runs(every_kind: Run, directory: Path) -> None:
    page = _page(every_kind, directory)
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    links = {value for name, value in page.attributes if name in ("src", "href", "action")}
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import", page.text)
    assert any("default-src 'none'" in value for _, value in page.attributes)


def test_both_schemes_are_there(every_kind: Run, directory: Path) -> None:
    assert "prefers-color-scheme: dark" in _page(every_kind, directory).text


def test_hostile_text_is_shown_and_not_obeyed(hostile: Run, directory: Path) -> None:
    page = _page(hostile, directory)
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "<script>alert(1)</script> & \\x1b[31m \\x00 ]]>" in page.text


def test_hostile_lines_of_a_history_are_shown_and_not_obeyed(run_of: RunOf, tmp_path: Path) -> None:
    line = r'{"t":2,"type":"note","op":"</pre><script>1</script>","data":{"\"><img onerror=x>":"\u001b[31m"}}'
    (tmp_path / "history.jsonl").write_text('{"t":1,"type":"begin","op":"</h3><b>"}\n' + line + "\n")
    page = _page(run_of(_pointing("history.jsonl line 2")), tmp_path)
    assert not page.tags & {"script", "img", "b"}
    assert "</pre><script>1</script>" in page.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'{"t":1,"ty', "line 1"),
        (b"\xff\xfe\n", "line 1"),
        (b'{"t":1,"type":"begin","op":"locking"}\n{"t":2,"type":"ok"}\n', "its end was never written"),
        (b'{"t":1,"type":"begin"}\n{"t":2,"type":"end","data":{"lines":7}}\n', "written with 7 lines and has 0"),
    ],
    ids=["empty", "torn", "no text", "no end", "a line lost"],
)
def test_a_damaged_history_is_said_and_prevents_nothing(
    every_kind: Run, directory: Path, content: bytes, said: str
) -> None:
    (directory / "history-gw0.jsonl").write_bytes(content)
    write(every_kind, directory)
    for form in ("report.html", "summary.md"):
        assert re.search(f"damaged.*{said}", (directory / form).read_text().replace("\\", ""))


def test_a_history_that_is_not_there_is_said(every_kind: Run, tmp_path: Path) -> None:
    text = _page(every_kind, tmp_path).text
    assert "history-gw0.jsonl is missing" in text
    assert "cannot be read, so its lines are not quoted" in text


def test_a_whole_history_is_not_called_damaged(every_kind: Run, directory: Path) -> None:
    assert "damaged" not in _page(every_kind, directory).text


def test_a_line_that_is_not_there_is_said(run_of: RunOf, directory: Path) -> None:
    text = _page(run_of(_pointing("history-gw0.jsonl lines 4, 99")), directory).text
    assert "not there: history-gw0.jsonl has 5 lines" in text


def test_only_files_of_the_run_are_quoted(run_of: RunOf, directory: Path) -> None:
    secret = directory.parent / "history-secret.jsonl"
    secret.write_text('{"t":1,"type":"begin","op":"secret"}\n')
    text = _page(run_of(_pointing("../history-secret.jsonl line 1")), directory).text
    secret.unlink()
    assert '"op":"secret"' not in text


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("", []),
        ("history.jsonl", []),
        ("history.jsonl line 7", [("history.jsonl", (7,))]),
        ("history-gw0.jsonl lines 4118, 4127", [("history-gw0.jsonl", (4118, 4127))]),
        ("a.jsonl lines 1, 2; b.jsonl line 3", [("a.jsonl", (1, 2)), ("b.jsonl", (3,))]),
        ("a.jsonl lines 1, b.jsonl line 3", [("a.jsonl", (1,)), ("b.jsonl", (3,))]),
    ],
)
def test_pointers_are_read_from_what_a_finding_says(where: str, found: list[tuple[str, tuple[int, ...]]]) -> None:
    assert list(pointers(where)) == found


def test_a_run_without_judgements_is_a_page_too(run_of: RunOf, tmp_path: Path) -> None:
    text = _page(run_of(error="traefik: not found; install it"), tmp_path).text
    assert "verify failed: traefik: not found; install it" in text


@pytest.mark.parametrize(
    ("verdict", "changes", "badge"),
    [
        ("held", {}, "✓ held"),
        ("unknown", {}, "? unknown"),
        ("held", {"interrupted": True}, "interrupted"),
        ("held", {"error": "away"}, "failed"),
        ("violated", {"error": "away"}, "✗ violated"),
    ],
)
def test_the_title_says_the_worst(
    run_of: RunOf, rows: Mapping[str, Judgement], verdict: str, changes: dict[str, object], badge: str
) -> None:
    text = document(run_of(rows["held"], rows[verdict], **changes), ())
    heading = re.search(r"<h1>gadget <span[^>]*>([^<]*)</span></h1>", text)
    assert heading is not None
    assert heading[1] == badge


def test_all_four_forms_are_written_and_drawn_again(every_kind: Run, directory: Path) -> None:
    write(every_kind, directory)
    before = {name: (directory / name).read_text() for name in FORMS}
    for name in FORMS - {VERDICT_FILE}:
        (directory / name).unlink()
    assert redraw(directory) == every_kind
    assert {name: (directory / name).read_text() for name in FORMS} == before


def test_a_run_without_a_verdict_cannot_be_drawn_again(directory: Path) -> None:
    with pytest.raises(LimpetError, match="No such file"):
        redraw(directory)
    assert {path.name for path in directory.iterdir()} == {"history-gw0.jsonl"}
