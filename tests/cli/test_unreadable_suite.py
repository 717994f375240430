"""A suite that cannot be imported is a failure of the harness, and is named as one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import environment

SUITE = """
import nothing_of_that_name
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_suite_that_cannot_be_imported_is_named_and_not_taken_for_an_interruption(
    tmp_path: Path, workers: int
) -> None:
    (tmp_path / "test_broken.py").write_text(SUITE)
    words = [
        *("-m", "pytest", str(tmp_path), f"--rootdir={tmp_path}", "-c", "/dev/null", "-p", "limpet.pytest_plugin"),
        *("-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"),
        *("-p", "xdist.plugin", "-n", str(workers), "--guarantees=replicas", "--run-dir=run"),
    ]
    surroundings = environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run([sys.executable, *words], cwd=tmp_path, env=surroundings, capture_output=True, check=False)
    run = json.loads((tmp_path / "run" / "verdict.json").read_text())
    assert (run["exit_code"], run["interrupted"]) == (3, False)
    assert "test_broken.py cannot be read: ModuleNotFoundError" in run["error"]
    assert "nothing_of_that_name" in run["error"]
