"""`limpet verify`: run the suites and say what held."""

import difflib
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import click

from limpet import contract as contracts
from limpet import runner, seeds, shipped
from limpet.cli.options import make_run_directory, of_a_stack
from limpet.cli.progress import Progress
from limpet.clock import Deadline
from limpet.collector import PROGRESS_FD
from limpet.contract import GUARANTEES
from limpet.errors import LimpetError
from limpet.owner import OWNER_PID
from limpet.report import store
from limpet.report.table import console, show

INTERRUPT_WITHIN_S = 5.0
LOOK_EVERY_S = 0.05
LAST_WRITTEN = "report.html"  # of a run's files
LOG_LINES = 15


@click.command()
@of_a_stack
@click.option("--target", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--only", multiple=True, metavar="GUARANTEE", help="Judge only this one; may be given again.")
@click.option("--require", multiple=True, metavar="GUARANTEE", help="Exit 2 unless this one is held.")
@click.option("--seed", type=click.IntRange(0), help="Seed of everything random.  [default: a new one]")
@click.option(
    "--jobs", "-j", type=click.IntRange(1, 64), help="Stacks side by side.  [default: one more than there are cores]"
)
def verify(
    *,
    contract: str,
    replicas: int,
    port: int | None,
    run_dir: Path | None,
    target: str,
    only: tuple[str, ...],
    require: tuple[str, ...],
    seed: int | None,
    jobs: int | None,
) -> int:
    """Judge a backend: start it, use it, disturb it, and say for each guarantee whether it held.

    Each guarantee gets a stack of its own: ingress, Redis, PostgreSQL and the replicas. What was done and seen is kept
    in the run directory, from which `limpet recheck` judges again.
    """
    known = contracts.load(shipped.contract(contract))
    for name in (*only, *require):
        if name not in GUARANTEES:
            near = difflib.get_close_matches(name, GUARANTEES, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise click.UsageError(f"there is no guarantee {name!r}; {hint}There are: {', '.join(GUARANTEES)}")
    wanted = tuple(name for name in GUARANTEES if not only or name in only)
    seed = seeds.fresh() if seed is None else seed
    directory = make_run_directory(run_dir or runner.new_directory("verify"), latest=run_dir is None)
    count = sum(name in known.claims.guarantees and name in runner.CHECKERS for name in wanted)
    workers = max(1, min(jobs or (os.cpu_count() or 1) + 1, count))  # one more: a suite waits more than it works
    click.echo(
        f"limpet verify: {known.name} on {target}, {replicas} replicas, seed {seed}, "
        f"{count} guarantees on {workers} stacks at a time"
    )
    repeat = ["limpet", "verify", "--contract", contract, "--replicas", str(replicas), "--seed", str(seed)]
    repeat += [word for name in only for word in ("--only", name)]
    options = {
        "--target": target,
        "--contract": contract,
        "--replicas": str(replicas),
        "--seed": str(seed),
        "--run-dir": str(directory),
        "--guarantees": ",".join(wanted),
        "--require": ",".join(require),
    }
    if port is not None:
        options["--ingress-port"] = str(port)
    _run_suites(directory, options, workers, shlex.join(repeat), count)
    run = store.load(directory)
    show(run, directory, console())
    return run.exit_code


def _run_suites(directory: Path, options: dict[str, str], workers: int, command: str, count: int) -> None:
    """Run pytest over the suites in a process of its own, which follows this one, and show its progress."""
    words = [
        *(sys.executable, "-m", "pytest", str(shipped.folder("suites")), f"--rootdir={shipped.folder('suites')}"),
        # settings of its own: what lies around the user's folder must not change a verdict
        *("-c", os.devnull, "-p", "pytest_asyncio.plugin", "-p", "limpet.pytest_plugin", "-p", "no:cacheprovider"),
        *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=session"),
        *("-o", "asyncio_default_test_loop_scope=session", "--import-mode=importlib", "--strict-markers", "-rA"),
        *(("-p", "xdist.plugin", "-n", str(workers), "--maxschedchunk=1") if workers > 1 else ()),
        *(f"{name}={value}" for name, value in options.items()),
    ]
    log = directory / "logs" / "pytest.log"
    verdict = directory / store.VERDICT_FILE
    reading, writing = os.pipe()
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = surroundings | {
        OWNER_PID: str(os.getpid()),
        PROGRESS_FD: str(writing),
        "LIMPET_COMMAND": command,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    with log.open("wb") as output, os.fdopen(reading, "rb") as progress:
        suites = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=(writing,),
            start_new_session=True,  # Ctrl-C reaches it once, from here
        )
        os.close(writing)
        _follow(suites, progress, count, directory / LAST_WRITTEN)
    if not verdict.exists():
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise LimpetError(f"the suites ended without a verdict (exit code {suites.returncode}); log: {log}\n{tail}")


def _follow(suites: subprocess.Popen[bytes], progress: BufferedReader, count: int, last: Path) -> None:
    """Show progress until the suites have ended.

    An interruption is passed on: the verdict on what was judged so far is written at once; nobody waits for the rest,
    and the guardians end the stacks.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        Progress(console(), count).follow(progress)
        suites.wait()
    except KeyboardInterrupt:
        click.echo("interrupted: ending the stacks", err=True)
        suites.send_signal(signal.SIGINT)
        deadline = Deadline(INTERRUPT_WITHIN_S)
        with suppress(KeyboardInterrupt):
            while not (last.exists() or deadline.passed()):
                with suppress(subprocess.TimeoutExpired):
                    suites.wait(LOOK_EVERY_S)
                    break
        with suppress(ProcessLookupError):
            os.killpg(suites.pid, signal.SIGKILL)
        suites.wait()
        if not last.exists():
            raise click.exceptions.Abort from None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
