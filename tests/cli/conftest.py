import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.running import Ended, Limpet, Start, environment


@pytest.fixture
def limpet(tmp_path: Path) -> Limpet:
    """Run the command line in an empty folder, as a user would, to its end."""

    def run(*words: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "limpet", *words],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Start the command line without waiting for its end."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "limpet", *words],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
