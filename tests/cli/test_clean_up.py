"""Whatever ends `limpet verify`, nothing of its stacks is left two seconds later."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.running import Start


def of_the_run(directory: Path) -> set[int]:
    """Processes whose command line or environment names the run directory, or whose log file lies in it."""
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            links = {str(fd.readlink()) for fd in (folder / "fd").iterdir()}
            text = (folder / "cmdline").read_text()
        except OSError:
            continue
        if str(directory) in text or any(link.startswith(str(directory)) for link in links):
            found.add(int(folder.name))
    return found


def wait_for(condition: Callable[[], bool], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def stack_folders(run: Path) -> set[Path]:
    """The folders of the run's stacks, as their processes' command lines name them."""
    found = set()
    for pid in of_the_run(run):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        for word in words:
            head, mark, rest = word.partition("/limpet-")
            if mark and len(head) > 1:
                found.add(Path(head.rpartition("=")[2]) / f"limpet-{rest.split('/')[0]}")
    return {path for path in found if path.is_dir()}


@pytest.fixture
def running(started: Start, tmp_path: Path) -> "subprocess.Popen[str]":
    """A verify with two stacks under way."""
    process = started("verify", "--only", "identity", "--only", "stickiness", "--jobs", "2", "--run-dir", "run")
    logs = tmp_path / "run" / "logs"
    up = wait_for(
        lambda: len(list(logs.glob("*/backend-*.log"))) >= 4 and len(stack_folders(tmp_path / "run")) == 2, 40
    )
    assert up, sorted(logs.rglob("*"))
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_run_that_was_ended(
    running: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    folders = stack_folders(run)
    assert len(folders) == 2
    running.send_signal(number)
    grace_s = 0.0 if number is signal.SIGKILL else 10.0
    running.wait(timeout=grace_s + 5)
    assert wait_for(lambda: not of_the_run(run), 2.0), of_the_run(run)
    assert wait_for(lambda: not any(folder.exists() for folder in folders), 0.5), folders


def test_an_interrupted_run_says_so(running: "subprocess.Popen[str]", tmp_path: Path) -> None:
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130, out + err
    assert "interrupted" in out + err
    assert (tmp_path / "run" / "verdict.json").exists()


def test_a_run_in_the_background_of_a_shell_says_so_too(started: Start, tmp_path: Path) -> None:
    """Such a shell has it ignore SIGINT, and what it starts inherits that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = started("verify", "--only", "identity", "--run-dir", "run")
    finally:
        signal.signal(signal.SIGINT, before)
    assert wait_for(lambda: bool(stack_folders(tmp_path / "run")), 40)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, out + err
    assert (tmp_path / "run" / "verdict.json").exists()


def test_two_runs_at_once_do_not_disturb_each_other(started: Start) -> None:
    both = [started("verify", "--only", "replicas", "--run-dir", f"run{n}") for n in range(2)]
    for process in both:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, out + err
