"""Options and small things that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from limpet.errors import LimpetError

F = TypeVar("F", bound=Callable[..., Any])


def of_a_stack(command: F) -> F:
    """--contract, --replicas, --port and --run-dir."""
    for option in reversed(
        (
            click.option(
                "--contract",
                "-c",
                default="gadget",
                metavar="FILE",
                help="Contract file of the backend, or the name of a shipped one.  [default: gadget]",
            ),
            click.option("--replicas", "-r", type=click.IntRange(1, 50), default=2, show_default=True),
            click.option(
                "--port",
                type=click.IntRange(1, 65535),
                help="Port of the ingress; further stacks take the next ones.  [default: free ones]",
            ),
            click.option(
                "--run-dir",
                type=click.Path(file_okay=False, path_type=Path),
                help="Where histories, logs and the verdict go.  [default: runs/<UTC time>-<command>]",
            ),
        )
    ):
        command = option(command)
    return command


def make_run_directory(directory: Path, *, latest: bool) -> Path:
    """Make a new, empty run directory; `latest` has runs/latest point to it. Raises LimpetError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise LimpetError(f"the run directory {directory} is not empty; give a new one with --run-dir")
        (directory / "logs").mkdir()
        if latest:
            link = directory.parent / "latest"
            fresh = directory.parent / f".latest-{os.getpid()}"
            fresh.symlink_to(directory.name)
            fresh.replace(link)
    except OSError as error:
        raise LimpetError(
            f"cannot write the run directory {directory}: {error.strerror}; give another with --run-dir"
        ) from error
    return directory
