from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from limpet.clock import NS_PER_S
from limpet.errors import LimpetError
from limpet.history import Line
from limpet.report import store
from limpet.report.run import Run
from limpet.verdict import Finding, Judgement, Part, Verdict
from planted import judging
from planted.base import Bug

HELD, VIOLATED, UNKNOWN = Verdict.HELD, Verdict.VIOLATED, Verdict.UNKNOWN
ASKED = ("identity", "locking", "scaling")
RIGHT = {"identity": HELD, "locking": VIOLATED, "scaling": HELD}
LATE = Finding("part", "this", "that", "history-locking.jsonl lines 2, 5")
EARLY = Finding("part", "this", "that", "history-locking.jsonl lines 3, 4")
WITHOUT_LINES = Finding("part", "this", "that", "history-locking.jsonl")


def bug(*, also: tuple[str, ...] = ()) -> Bug:
    return Bug("spoilt", "locking", "identity", also, "backend", "It is spoilt.", lambda: None, "planted.bugs.spoilt")


def store_run(
    directory: Path,
    verdicts: Mapping[str, Verdict],
    *findings: Finding,
    log: str = "planted: spoilt\n",
    error: str = "",
) -> None:
    """A run directory. The history has a line each second: line 1 at 0 s."""
    parts = {VIOLATED: Part("part", findings=findings or (EARLY,)), UNKNOWN: Part("part"), HELD: Part("part", had=1)}
    judgements = tuple(Judgement(guarantee, (parts[verdict],)) for guarantee, verdict in verdicts.items())
    run = Run("verify", "0", 7, "gadget", "planted.toml", "local", 2, "", 1.0, judgements, (), "limpet", error=error)
    store.save(run, directory)
    (directory / "logs" / "locking").mkdir(parents=True)
    (directory / "logs" / "locking" / "backend-1.log").write_text(log)
    lines = [Line(second * NS_PER_S, "note") for second in range(8)]
    (directory / "history-locking.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, lines)))


def wrong(directory: Path, planted: Bug | None) -> tuple[str, ...]:
    return judging.row(planted, directory, asked=ASKED, took_s=1.0).wrong


def test_a_bug_caught_by_its_guarantee_alone_is_right(tmp_path: Path) -> None:
    store_run(tmp_path, RIGHT)
    assert wrong(tmp_path, bug()) == ()


@pytest.mark.parametrize("verdict", [HELD, UNKNOWN])
def test_a_bug_that_is_not_caught_is_wrong(tmp_path: Path, verdict: Verdict) -> None:
    store_run(tmp_path, RIGHT | {"locking": verdict})
    assert wrong(tmp_path, bug()) == (f"not caught: locking is {verdict}",)


@pytest.mark.parametrize("guarantee", ["identity", "scaling"])
def test_another_guarantee_that_is_blamed_is_wrong(tmp_path: Path, guarantee: str) -> None:
    store_run(tmp_path, RIGHT | {guarantee: VIOLATED})
    assert wrong(tmp_path, bug()) == (f"wrongly blamed: {guarantee} is violated",)


def test_another_guarantee_in_doubt_is_wrong(tmp_path: Path) -> None:
    store_run(tmp_path, RIGHT | {"identity": UNKNOWN})
    assert wrong(tmp_path, bug()) == ("in doubt: identity is unknown",)


@pytest.mark.parametrize("verdict", [HELD, UNKNOWN, VIOLATED])
def test_a_guarantee_that_may_be_blamed_too_is_right_either_way(tmp_path: Path, verdict: Verdict) -> None:
    store_run(tmp_path, RIGHT | {"scaling": verdict})
    assert wrong(tmp_path, bug(also=("scaling",))) == ()


def test_a_guarantee_that_was_asked_for_and_not_judged_is_wrong(tmp_path: Path) -> None:
    store_run(tmp_path, {"locking": VIOLATED, "scaling": HELD})
    assert wrong(tmp_path, bug()) == ("in doubt: identity is unknown",)


def test_a_clean_run_that_is_held_is_right(tmp_path: Path) -> None:
    store_run(tmp_path, dict.fromkeys(ASKED, HELD), log="")
    assert wrong(tmp_path, None) == ()


def test_a_false_alarm_is_wrong(tmp_path: Path) -> None:
    store_run(tmp_path, RIGHT, log="")
    assert wrong(tmp_path, None) == ("wrongly blamed: locking is violated",)


@pytest.mark.parametrize("log", ["", "planted: spoilt-otherwise\n", "not planted: spoil\n"])
def test_a_bug_that_no_process_had_in_it_is_wrong(tmp_path: Path, log: str) -> None:
    store_run(tmp_path, RIGHT, log=log)
    assert wrong(tmp_path, bug()) == ("the bug was not live: no log says that it was planted",)


def test_a_failure_of_the_harness_is_wrong(tmp_path: Path) -> None:
    store_run(tmp_path, RIGHT, error="backend-1 did not start")
    assert wrong(tmp_path, bug()) == ("the harness failed: backend-1 did not start",)


def test_a_run_without_a_verdict_is_no_row(tmp_path: Path) -> None:
    with pytest.raises(LimpetError):
        judging.row(bug(), tmp_path, asked=ASKED, took_s=1.0)


@pytest.mark.parametrize(
    ("findings", "seconds"),
    [((LATE,), 4.0), ((LATE, EARLY), 3.0), ((WITHOUT_LINES,), 7.0), ((WITHOUT_LINES, LATE), 4.0)],
)
def test_a_bug_is_caught_when_all_lines_of_its_first_finding_are_there(
    tmp_path: Path, findings: tuple[Finding, ...], seconds: float
) -> None:
    store_run(tmp_path, RIGHT, *findings)
    assert judging.row(bug(), tmp_path, asked=ASKED, took_s=1.0).caught_s == seconds


def test_what_was_not_caught_has_no_time(tmp_path: Path) -> None:
    store_run(tmp_path, RIGHT | {"locking": HELD, "scaling": VIOLATED})
    assert judging.row(bug(), tmp_path, asked=ASKED, took_s=1.0).caught_s is None
