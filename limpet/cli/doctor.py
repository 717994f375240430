"""`limpet doctor`: what is wrong with a running system, by name and with the evidence."""

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from limpet.cli.place import locate, of_a_running_system
from limpet.doctor.base import Cause
from limpet.doctor.walk import Report, symptom, walk
from limpet.report.table import console
from limpet.report.wording import one_line

EXIT_FOUND = 1


@click.command()
@of_a_running_system
@click.option("--try-session", is_flag=True, help="Also start a few sessions, watch them and stop them again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(
    *,
    run: Path | None,
    redis: str | None,
    url: str | None,
    routes: str | None,
    contract: str | None,
    try_session: bool,
    as_json: bool,
) -> int:
    """Name what is wrong with a running system, with the evidence and what to do.

    RUN is the run directory of a `limpet up`; without it, and without addresses, the newest one that runs. Nothing is
    changed, unless --try-session allows it. Exit codes: 0 nothing found, 1 causes found, 3 it could not be looked at.
    """
    place = locate(run, redis=redis, url=url, routes=routes, contract=contract)()
    report = asyncio.run(walk(place, try_session=try_session))
    if as_json:
        click.echo(json.dumps(_plain(report), indent=2, ensure_ascii=False))
    else:
        _show(report, console())
    return EXIT_FOUND if report.causes else 0


def _plain(report: Report) -> dict[str, object]:
    causes = [
        {
            "name": cause.name,
            "symptom": symptom(cause),
            "about": sorted(cause.about),
            "what": cause.what,
            "evidence": list(cause.evidence),
            "remedy": cause.remedy,
        }
        for cause in report.causes
    ]
    return {"causes": causes, "sound": list(report.sound), "unseen": report.unseen}


def _show(report: Report, out: Console) -> None:
    for cause in report.causes:
        _show_cause(cause, out)
    for name, why in report.unseen.items():
        out.print(Text(f"not looked at: {name}: {one_line(why)}", style="dim"))
    if report.sound:
        out.print(Text(f"nothing wrong: {', '.join(report.sound)}", style="dim"))
    count = len(report.causes)
    said = f"{count} cause{'s' if count > 1 else ''} found" if count else "nothing wrong was found"
    out.print(Text(f"limpet doctor: {said}", style="bold red" if count else "bold green"))


def _show_cause(cause: Cause, out: Console) -> None:
    title = Text(f"{cause.name}: ", style="bold red")
    title.append(f"{one_line(cause.what)}.", style="default")
    out.print(title)
    out.print(Padding(Text(f"symptom: {symptom(cause)}"), (0, 0, 0, 2), expand=False))
    for evidence in cause.evidence:
        out.print(Padding(Text(f"seen: {one_line(evidence)}"), (0, 0, 0, 2), expand=False))
    out.print(Padding(Text(f"to do: {one_line(cause.remedy)}"), (0, 0, 0, 2), expand=False))
    out.print()
