"""Which running system a command is to look at: that of a run directory, the newest, or one at given addresses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from limpet import contract as contracts
from limpet import shipped
from limpet.status import place as places
from limpet.status.place import Place

F = TypeVar("F", bound=Callable[..., Any])


def of_a_running_system(command: F) -> F:
    """[RUN], --redis, --url, --routes and --contract."""
    for option in reversed(
        (
            click.argument("run", required=False, type=click.Path(file_okay=False, path_type=Path)),
            click.option("--redis", metavar="URL", help="The backend's Redis: redis://127.0.0.1:6379/0"),
            click.option("--url", metavar="URL", help="The ingress, as users reach it: http://gadgets.local"),
            click.option(
                "--routes", metavar="URL", help="Where Traefik tells its services: http://HOST:PORT/api/http/services"
            ),
            click.option(
                "--contract",
                "-c",
                metavar="FILE",
                help="Contract file of the backend, or the name of a shipped one.  [default: gadget, or the run's own]",
            ),
        )
    ):
        command = option(command)
    return command


def locate(
    run: Path | None, *, redis: str | None, url: str | None, routes: str | None, contract: str | None
) -> Callable[[], Place]:
    """What finds the system, each time it is looked at.

    Raises:
        UsageError: a run directory and addresses were given.
        LimpetError: the contract is wrong, or there is no such system.
    """
    if not (redis or url or routes):
        directory = run or places.newest()
        own = contracts.load(shipped.contract(contract)) if contract else None
        return lambda: places.of_run(directory, own)
    if run:
        raise click.UsageError(f"give either the run directory {run} or addresses, not both")
    known = contracts.load(shipped.contract(contract or "gadget"))
    place = Place("the given addresses", known, (url or "").rstrip("/"), redis or "", routes or "")
    return lambda: place
