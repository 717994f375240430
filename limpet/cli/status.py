"""`limpet status`: how a running system stands, in place of a handful of kubectl and redis-cli commands."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import click
from rich.live import Live

from limpet.cli.place import locate, of_a_running_system
from limpet.clock import sleep
from limpet.report.table import console
from limpet.status.drawing import draw
from limpet.status.figures import figures
from limpet.status.look import look
from limpet.status.place import Place

LOOK_EVERY_S = 1.0


@click.command()
@of_a_running_system
@click.option("--watch", "-w", is_flag=True, help="Look again every second until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch one object a line.")
def status(
    *,
    run: Path | None,
    redis: str | None,
    url: str | None,
    routes: str | None,
    contract: str | None,
    watch: bool,
    as_json: bool,
) -> int:
    """Show how a running system stands: sessions, owners, locks, heartbeats, replicas, endpoints, stickiness.

    RUN is the run directory of a `limpet up`; without it, and without addresses, the newest one that runs. Nothing is
    changed by looking.
    """
    where = locate(run, redis=redis, url=url, routes=routes, contract=contract)
    asyncio.run(_watch(where, as_json=as_json) if watch else _once(where(), as_json=as_json))
    return 0


async def _once(place: Place, *, as_json: bool) -> None:
    seen = await look(place)
    if as_json:
        click.echo(json.dumps(figures(seen), indent=2, ensure_ascii=False))
    else:
        console().print(draw(seen, figures(seen)))


async def _watch(where: Callable[[], Place], *, as_json: bool) -> None:
    out = console()
    if as_json or not out.is_terminal:
        while True:
            seen = await look(where())
            if as_json:
                click.echo(json.dumps(figures(seen), ensure_ascii=False))
            else:
                out.print(draw(seen, figures(seen)), "")
            await sleep(LOOK_EVERY_S)
    seen = await look(where())
    with Live(draw(seen, figures(seen)), console=out, auto_refresh=False, screen=True) as live:
        while True:
            await sleep(LOOK_EVERY_S)
            seen = await look(where())
            live.update(draw(seen, figures(seen)), refresh=True)
