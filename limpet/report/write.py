"""Puts a run into its directory in all its forms: verdict.json, junit.xml, summary.md, report.html."""

from pathlib import Path

from limpet.report import html, junit, markdown, store
from limpet.report.recorded import histories
from limpet.report.run import Run


def write(run: Run, directory: Path) -> None:
    """Write all four forms, the verdict first: whatever comes after it, the run can be drawn again.

    Raises:
        LimpetError: a file could not be written.
    """
    store.save(run, directory)
    _draw(run, directory)


def redraw(directory: Path) -> Run:
    """Draw a stored run again from its verdict.json and its histories, and return it.

    Raises:
        LimpetError: verdict.json is missing or damaged, or a file could not be written.
    """
    run = store.load(directory)
    _draw(run, directory)
    return run


def _draw(run: Run, directory: Path) -> None:
    store.replace(directory / "junit.xml", junit.document(run))
    recorded = histories(directory, (finding for judgement in run.judgements for finding in judgement.findings))
    damage = [history.damage for history in recorded if history.damage]
    store.replace(directory / "summary.md", markdown.document(run, damage))
    store.replace(directory / "report.html", html.document(run, recorded))
