"""The terminal's report is readable at 80 columns, plain where there is no terminal, and ends in the one line."""

from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from limpet.report.run import Run
from limpet.report.table import console, show
from limpet.verdict import Finding, Judgement, Part

RunOf = Callable[..., Run]
DIRECTORY = Path("runs/20261123T204137-verify")


def _shown(run: Run, *, width: int = 80, terminal: bool = False) -> str:
    out = Console(
        file=StringIO(), width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False, _environ={}
    )
    show(run, DIRECTORY, out)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def test_it_ends_in_the_one_line_and_the_directory(every_kind: Run) -> None:
    assert _shown(every_kind).splitlines()[-2:] == [
        "limpet: held 1, unknown 1, violated 1, unsupported 1, not claimed 1",
        str(DIRECTORY),
    ]


def test_every_guarantee_has_its_row(every_kind: Run) -> None:
    rows = [line.split("  ")[0] for line in _shown(every_kind, width=140).splitlines()[:6]]
    assert rows == ["guarantee", "replicas", "session-record", "locking", "scaling", "continuity"]


def test_rows_have_figures_budget_and_duration(every_kind: Run) -> None:
    lines = _shown(every_kind, width=140).splitlines()
    assert "2 instances, 1,200 requests, slowest 41.2 ms" in lines[1]
    assert lines[3].split("  ")[-1].strip() == "1 min 15 s"
    assert "lock TTL 10 s" in lines[3]


def test_it_fits_80_columns(every_kind: Run) -> None:
    assert max(len(line) for line in _shown(every_kind).splitlines()) <= 80


@pytest.mark.parametrize("width", [20, 40, 79])
def test_the_command_survives_narrow_terminals(every_kind: Run, width: int) -> None:
    assert "limpet verify --only locking --seed 71" in _shown(every_kind, width=width)


def test_parts_that_are_not_held_are_named_with_their_reason(every_kind: Run) -> None:
    text = _shown(every_kind)
    assert "- session-record / keys unknown: not exercised enough: 12 of 50 sessions" in text
    assert "- locking / fence cannot be shown: the contract has no redis.fence" in text
    assert "- scaling unsupported: no permission to patch deployments/scale" in text
    assert "- continuity not claimed: the contract does not claim it" in text


def test_a_finding_has_the_form_of_the_guarantees(every_kind: Run) -> None:
    assert (
        "locking violated: backend-1 committed session 7d3 at 8.214 s with fence 4, after\n"
        "fence 5 was handed to backend-2 at 8.102 s.\n"
        "  expected: one holder at a time\n"
        "  history-gw0.jsonl lines 3, 4. Repeat: limpet verify --only locking --seed 71\n"
    ) in _shown(every_kind)


def test_a_long_command_is_not_broken_into_lines(run_of: RunOf, rows: Mapping[str, Judgement]) -> None:
    command = f"limpet verify --contract {'deep/' * 30}contract.toml --seed 71"
    again = f"  Repeat: limpet verify --only locking --contract {'deep/' * 30}contract.toml --seed 71"
    assert again in _shown(run_of(rows["violated"], command=command)).splitlines()


def test_colours_are_for_terminals_only(every_kind: Run) -> None:
    assert "\x1b[" in _shown(every_kind, terminal=True)
    assert "\x1b" not in _shown(every_kind)


def test_hostile_text_reaches_no_terminal(hostile: Run) -> None:
    text = _shown(hostile)
    assert all(c.isprintable() or c == "\n" for c in text)
    text.encode()


def test_text_of_the_backend_is_no_markup(run_of: RunOf) -> None:
    finding = Finding("a", "nothing", "[bold]seen[/bold] :smile:")
    assert "[bold]seen[/bold] :smile:" in _shown(run_of(Judgement("locking", (Part("a", findings=(finding,)),))))


def test_troubles_of_the_run_stand_above_the_last_line(run_of: RunOf) -> None:
    lines = _shown(run_of(error="redis: exited with 1; log: logs/redis.log", interrupted=True)).splitlines()
    assert "- verify failed: redis: exited with 1; log: logs/redis.log" in lines[-5].strip()
    assert lines[-4].startswith("- verify interrupted: ")


def test_only_the_first_findings_are_shown_and_the_rest_counted(run_of: RunOf) -> None:
    findings = tuple(Finding("a", "nothing", f"thing {n} was seen") for n in range(9))
    text = _shown(run_of(Judgement("locking", (Part("a", findings=findings),))))
    assert "thing 4 was seen" in text
    assert "thing 5 was seen" not in text
    assert "locking violated: and 4 more, in report.html" in text


def test_the_console_takes_nothing_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[bold]:smile:")
    assert capsys.readouterr().out == "[bold]:smile:\n"
