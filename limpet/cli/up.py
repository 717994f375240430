"""`limpet up`: keep a stack running to look at and to work with."""

import asyncio
import signal
from contextlib import ExitStack, suppress
from pathlib import Path

import click
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table

from limpet import contract as contracts
from limpet import runner, shipped
from limpet.cli.options import make_run_directory, of_a_stack
from limpet.clock import NS_PER_S, now_ns
from limpet.contract import Contract
from limpet.history import History
from limpet.owner import owner_pid
from limpet.report.table import console
from limpet.status.place import StackFile
from limpet.targets.base import Pod
from limpet.targets.local.target import LocalTarget

LOOK_EVERY_S = 0.25


@click.command()
@of_a_stack
@click.option("--timing", is_flag=True, help="Say where the time of the start went, and stop again.")
def up(*, contract: str, replicas: int, port: int | None, run_dir: Path | None, timing: bool) -> int:
    """Keep a stack running until Ctrl-C: ingress, Redis, PostgreSQL, and the replicas of a backend."""
    known = contracts.load(shipped.contract(contract))
    directory = make_run_directory(run_dir or runner.new_directory("up"), latest=False)
    return asyncio.run(_up(known, replicas, port, directory, timing=timing))


async def _up(contract: Contract, replicas: int, port: int | None, directory: Path, *, timing: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    history = History(directory / "history-up.jsonl", "up")
    stack_file = StackFile(directory, contract)
    target = LocalTarget(contract, history, directory / "logs", replicas=replicas, port=port, owner_pid=owner_pid())
    starting = asyncio.ensure_future(target.start())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            if timing:
                _print_timing(target)
            else:
                _print_addresses(target, directory)
                await _show_until(stop, target, stack_file)
    finally:
        starting.cancel()
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        stack_file.close()
        await target.close()
        history.close()
    return 0


def _print_timing(target: LocalTarget) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("part")
    table.add_column("ready after (s)", justify="right")
    for name, seconds in target.timing.items():
        table.add_row(name, f"{seconds:.3f}")
    console().print(table)


def _print_addresses(target: LocalTarget, directory: Path) -> None:
    for name, address in target.addresses().items():
        click.echo(f"{name:10} {address}")
    click.echo(f"{'logs':10} {directory / 'logs'}")
    click.echo("Ctrl-C ends it all.")


async def _show_until(stop: asyncio.Event, target: LocalTarget, stack_file: StackFile) -> None:
    """Show the pods, and keep stack.json as they are, until `stop`."""
    out = console()
    pods = await target.pods()
    stack_file.keep(target.replicas, target.addresses(), pods)
    with ExitStack() as open_:
        live = None
        if out.is_terminal:
            live = open_.enter_context(Live(_table(pods), console=out, auto_refresh=False, transient=True))
        else:
            out.print(_table(pods))
        while not stop.is_set():
            pods = await target.pods()
            stack_file.keep(target.replicas, target.addresses(), pods)
            if live:
                live.update(_table(pods), refresh=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)


def _table(pods: list[Pod]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for column in ("pod", "phase", "in ingress", "restarts", "age", "address", "instance"):
        table.add_column(column)
    for pod in pods:
        age_s = (now_ns() - pod.started_ns) / NS_PER_S
        listed = "yes" if pod.listed else "no"
        table.add_row(pod.name, pod.phase, listed, str(pod.restarts), f"{age_s:.0f} s", pod.address, pod.instance)
    return table
