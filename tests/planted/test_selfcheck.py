"""The selfcheck itself, on a few bugs: one of the backend, one of the ingress, and a user who has no time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from planted import scaled

pytestmark = pytest.mark.planted

ENDED_WITHIN_S = 20.0


def words(run: Path, *bugs: str) -> list[str]:
    return [
        *(sys.executable, "-m", "planted.selfcheck", "--run-dir", str(run)),
        *(word for bug in bugs for word in ("--only", bug)),
    ]


SURROUNDINGS = os.environ | {"PYTHONPATH": scaled.PYTHON_PATH}


def test_bugs_of_the_backend_and_of_the_ingress_are_caught(tmp_path: Path) -> None:
    command = words(tmp_path / "run", "create-that-forgets-the-index", "cookie-dropped")
    done = subprocess.run(command, env=SURROUNDINGS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "selfcheck: 2 of 2 bugs caught, 0 rows wrong" in (tmp_path / "run" / "summary.md").read_text()


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    begun = subprocess.Popen(
        words(tmp_path / "run", "lost-update"), env=SURROUNDINGS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    replica = tmp_path / "run" / "lost-update" / "run" / "logs"
    deadline = time.monotonic() + 60
    while not list(replica.glob("*/backend-1.log")):
        assert time.monotonic() < deadline
        assert begun.poll() is None
        time.sleep(0.1)
    children = psutil.Process(begun.pid).children(recursive=True)
    assert children
    begun.send_signal(signal.SIGINT)
    assert begun.wait(ENDED_WITHIN_S) == 130
    _, alive = psutil.wait_procs(children, timeout=ENDED_WITHIN_S)
    assert alive == []
