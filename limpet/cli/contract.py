"""`limpet contract`: check a contract file, show it as it was read, or start a new one."""

import click
from rich.table import Table
from rich.text import Text

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Contract
from limpet.offer.coverage import EXIT_UNJUDGEABLE, Coverage, coverage, unjudgeable
from limpet.offer.text import shown, to_start_from
from limpet.report.table import console
from limpet.report.wording import one_line

FILE = click.argument("file", metavar="FILE|NAME")


@click.group()
def contract() -> None:
    """Write the contract of a backend of yours: check it, show it as it is read, start a new one."""


@contract.command()
@FILE
def check(*, file: str) -> int:
    """Check a contract file, and say what can be judged with it.

    Exit codes: 0 all that is claimed can be judged, at least in part; 2 something claimed cannot be; 3 a mistake.
    """
    path = shipped.contract(file)
    known = contracts.load(path)
    rows = coverage(known)
    out = console()
    out.print(Text(f"{path}: ok"), soft_wrap=True)
    out.print(Text(_offers(known)))
    out.print()
    out.print(_table(rows))
    lacking = unjudgeable(rows)
    if lacking:
        out.print()
        out.print(Text(f"claimed, but nothing of it can be judged: {', '.join(lacking)}", style="yellow"))
    return EXIT_UNJUDGEABLE if lacking else 0


@contract.command()
@FILE
def show(*, file: str) -> None:
    """Print a contract as it is read: defaults filled in, what is not offered named, and the budgets that follow."""
    known = contracts.load(shipped.contract(file))
    click.echo(shown(known, coverage(known)), nl=False)


@contract.command()
def new() -> None:
    """Print a contract file to start from, with every key explained.

    \b
    limpet contract new > backend.toml
    """  # noqa: D301  \b is click's mark for text that keeps its lines
    click.echo(to_start_from(contracts.load(shipped.contract("guide"))), nl=False)


def _offers(known: Contract) -> str:
    http = [
        call
        for call in ("health", "ready", "read", "update", "events", "search", "instances")
        if getattr(known.http, call)
    ]
    streams = "no streams"
    if known.websocket:
        streams = "streams from any replica" if known.websocket.any_replica else "streams from a session's owner only"
    sticky = f"sticky by {known.ingress.cookie} ({known.ingress.kind})" if known.ingress else "no ingress"
    runs = [name for name in ("local", "kubernetes") if getattr(known, name)]
    return one_line(
        f"{known.name} offers list, create, delete{''.join(f', {call}' for call in http)}; {streams}; {sticky}; "
        f"runs on: {', '.join(runs) or 'nothing (give [local] or [kubernetes])'}."
    )


def _table(rows: tuple[Coverage, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("guarantee", "claimed", "can be judged"):
        table.add_column(column, no_wrap=column != "can be judged")
    for row in rows:
        style = "" if row.claimed else "dim"
        if row.reason:
            text = Text(f"no: {row.reason}", style="yellow" if row.claimed else "dim")
        elif row.missing:
            text = Text(f"{len(row.parts) - len(row.missing)} of {len(row.parts)} parts; not:", style=style)
            for part in row.missing:
                text.append(f"\n{part.name}: {part.missing}")
        else:
            text = Text(f"all {len(row.parts)} parts" if len(row.parts) > 1 else "yes", style=style)
        table.add_row(Text(row.guarantee, style=style), Text("yes" if row.claimed else "no", style=style), text)
    return table
