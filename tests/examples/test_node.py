"""The Node example is held on all that it claims; with a bug, it is violated under the bug's name and held otherwise.

`make foreign` runs it: a full verify for each bug, about twenty minutes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limpet import shipped

NODE = Path(__file__).parents[2] / "examples" / "node"
PLUGINS = Path(__file__).parent
COMMAND = '["node", "server.js"]'
# A dead replica's keys are its heartbeat and its `ws:{id}`: two guarantees name them.
BUGS = {
    "unlock-plain-del": {"locking"},
    "delete-not-owner": {"session-record"},
    "record-only-watched": {"history"},
    "viewers-compete": {"history"},
    "silent-drop": {"history"},
    "late-close": {"affinity"},
    "dead-keys-stay": {"heartbeat", "affinity"},
    "late-heartbeat": {"heartbeat"},
    "create-502": {"stickiness"},
    "no-lock": {"locking"},
    "list-local": {"shared-view"},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """What the example needs, from its own lock file."""
    subprocess.run([shutil.which("npm") or "npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=NODE, check=True)


def verdicts(run: Path, words: list[str]) -> dict[str, str]:
    """Run a verify and return {guarantee: verdict} of what the contract claims."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LIMPET_"))}
    done = subprocess.run(
        words, cwd=run.parent, env=clean | {"PYTHONPATH": str(PLUGINS)}, capture_output=True, text=True, check=False
    )
    assert (run / "verdict.json").exists(), done.stdout + done.stderr
    sys.stdout.write(done.stdout)  # pytest shows it beside a wrong verdict
    rows = json.loads((run / "verdict.json").read_text())["guarantees"]
    return {row["guarantee"]: row["verdict"] for row in rows if row["verdict"] != "not claimed"}


def verify(tmp_path: Path, contract: Path) -> dict[str, str]:
    run = tmp_path / "run"
    return verdicts(run, [sys.executable, "-m", "limpet", "verify", "--contract", str(contract), "--run-dir", str(run)])


def claimed() -> dict[str, str]:
    text = re.search(r"guarantees = \[(.*?)\]", (NODE / "contract.toml").read_text(), re.DOTALL)
    assert text
    return dict.fromkeys(re.findall(r'"([a-z-]+)"', text[1]), "held")


def test_the_example_is_held_on_all_that_it_claims(tmp_path: Path) -> None:
    assert verify(tmp_path, NODE / "contract.toml") == claimed()


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_violated_under_its_name(tmp_path: Path, bug: str) -> None:
    text = (NODE / "contract.toml").read_text()
    assert COMMAND in text
    buggy = tmp_path / "buggy.toml"
    buggy.write_text(text.replace(COMMAND, f'["node", "{NODE / "server.js"}", "--bug", "{bug}"]'))
    assert verify(tmp_path, buggy) == claimed() | dict.fromkeys(BUGS[bug], "violated")


def test_an_ingress_without_its_cookie_is_violated_under_stickiness(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [
        *(sys.executable, "-m", "pytest", str(shipped.folder("suites")), "-p", "no_cookie", "-n", "2"),
        *(f"--contract={NODE / 'contract.toml'}", f"--run-dir={run}", "-p", "no:cacheprovider"),
    ]
    assert verdicts(run, words) == claimed() | {"stickiness": "violated"}
