"""`limpet recheck` and `limpet report`: judge a stored run again, draw it again."""

from dataclasses import replace
from pathlib import Path

import click

from limpet import runner
from limpet.report import store
from limpet.report.table import console, show
from limpet.report.write import redraw

RUN = click.argument("run", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/latest"))


@click.command()
@RUN
def recheck(*, run: Path) -> int:
    """Judge the stored histories of RUN (runs/latest) again, and say what changed.

    Nothing is written. The exit code is that of the new judgement; 3 when a history is missing or unreadable.
    """
    stored = store.load(run)
    again = tuple(runner.rejudge(run, row.guarantee) if row.parts else row for row in stored.judgements)
    judged = replace(stored, what="recheck", judgements=again, error="", interrupted=False)
    show(judged, run, console())
    for before, after in zip(stored.judgements, again, strict=True):
        if before.verdict is not after.verdict:
            click.echo(f"changed: {before.guarantee} was {before.verdict}, is {after.verdict}")
    return judged.exit_code


@click.command()
@RUN
def report(*, run: Path) -> int:
    """Draw the reports of RUN (runs/latest) again from its verdict and histories."""
    redraw(run)
    stored = store.load(run)
    show(stored, run, console())
    return stored.exit_code
