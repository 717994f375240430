"""What a replica is told, and what it says of it."""

import re
import socket
import subprocess
import sys
from pathlib import Path

from limpet import contract as contracts
from limpet import shipped
from limpet.targets.local import programs
from reference_backend.settings import Settings, variable

NOT_FOR_THE_BACKEND = {
    "BACKEND_PRE_STOP_S",  # the target's own: how long after leaving the endpoints SIGTERM comes
    "BACKEND_TAKEOVER_S",  # a budget
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reference_backend", *arguments],
        env=programs.surroundings(environment),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_and_the_document_list_every_setting() -> None:
    said = run("--help")
    document = (Path(__file__).parents[2] / "docs" / "reference-backend.md").read_text()
    assert said.returncode == 0
    for name, info in Settings.model_fields.items():
        (line,) = re.findall(rf"^  {variable(name)} .*$", said.stdout, re.MULTILINE)
        assert info.description is not None
        assert info.description in line
        assert f"| `{variable(name)}` |" in document
        assert f"| {info.description} |" in document


def test_the_contracts_timings_are_settings_with_the_same_defaults() -> None:
    contract = contracts.load(shipped.contract("gadget"))
    known = {variable(name): info.default for name, info in Settings.model_fields.items()}
    for name, value in contract.settings().items():
        if name not in NOT_FOR_THE_BACKEND:
            assert known[name] == float(value), name


def test_a_wrong_setting_is_named_and_nothing_is_started() -> None:
    said = run(BACKEND_LOCK_TTL_S="soon", PORT="70000")
    assert said.returncode == 1
    assert "BACKEND_LOCK_TTL_S" in said.stderr
    assert "PORT" in said.stderr
    assert "Traceback" not in said.stderr


def test_an_argument_that_is_none_is_refused_with_the_list() -> None:
    said = run("--port", "80")
    assert said.returncode == 2
    assert "BACKEND_LOCK_TTL_S" in said.stderr


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = run(PORT=str(taken.getsockname()[1]))
    assert said.returncode == 1
    assert "cannot listen on 127.0.0.1" in said.stderr
    assert "Traceback" not in said.stderr
