"""`limpet contract`, `limpet status` and `limpet doctor` as a user meets them: words, JSON and exit codes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from limpet import shipped

LIMPET = (sys.executable, "-c", "from limpet.cli import main; main()")
WITHIN_S = 60


def limpet(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LIMPET, *words], capture_output=True, text=True, timeout=WITHIN_S, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which a `limpet up` of the reference backend runs."""
    folder = tmp_path_factory.mktemp("up")
    process = subprocess.Popen([*LIMPET, "up"], stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("pod "):
            break
    yield folder
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    assert not list(folder.glob("runs/*/stack.json"))


def shown(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(limpet("status", "--json", cwd=folder).stdout)
    return said


def test_status_finds_the_newest_stack_that_runs(up: Path) -> None:
    said = limpet("status", cwd=up)
    assert said.returncode == 0
    assert "sessions:active 0" in said.stdout
    assert "backend-1  ready" in said.stdout
    assert "backend-session is set" in said.stdout


def test_status_counts_a_session_that_was_started(up: Path) -> None:
    url = shown(up)["ingress"]["url"]
    body = {"type": "trace_tcp", "namespace": "demo", "source": "synthetic", "rate": 10}
    made = httpx.post(f"{url}/api/sessions", json=body).raise_for_status().json()
    said = shown(up)
    assert (said["redis"]["active"], said["redis"]["owned"]) == (1, 1)
    assert {row["instance"]: row["owned"] for row in said["instances"]}[made["owner"]] == 1
    httpx.delete(f"{url}/api/sessions/{made['id']}").raise_for_status()
    assert shown(up)["redis"]["active"] == 0


def test_status_takes_addresses_in_place_of_a_run(up: Path) -> None:
    (run,) = (up / "runs").glob("*-up")
    addresses = json.loads((run / "stack.json").read_text())["addresses"]
    said = limpet(
        "status", "--json", "--redis", addresses["redis"], "--url", addresses["ingress"], "--contract", "guide"
    )
    figures = json.loads(said.stdout)
    assert figures["contract"] == "guide"
    assert len(figures["instances"]) == 2
    assert figures["replicas"] == []


def test_watching_writes_one_look_after_the_other(up: Path) -> None:
    watching = subprocess.Popen([*LIMPET, "status", "--watch", "--json"], stdout=subprocess.PIPE, text=True, cwd=up)
    assert watching.stdout is not None
    first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=WITHIN_S)
    assert second["time"] > first["time"]
    assert watching.returncode == 130


def test_doctor_finds_nothing_wrong_with_a_sound_stack(up: Path) -> None:
    said = limpet("doctor", "--try-session", cwd=up)
    assert said.returncode == 0, said.stdout
    assert said.stdout.splitlines()[-1] == "limpet doctor: nothing wrong was found"


def test_doctor_exits_with_1_and_the_evidence(up: Path) -> None:
    (run,) = (up / "runs").glob("*-up")
    contract = up / "other.toml"
    text = shipped.contract("gadget").read_text()
    contract.write_text(text.replace('cookie = "backend-session"', 'cookie = "other"'))
    said = limpet("doctor", str(run), "--contract", str(contract), "--json")
    assert said.returncode == 1
    (cause,) = json.loads(said.stdout)["causes"]
    assert cause["name"] == "cookie missing"
    assert "backend-session" in cause["remedy"]


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_without_a_running_system_the_exit_code_is_3_and_says_what_to_write(command: str, tmp_path: Path) -> None:
    said = limpet(command, cwd=tmp_path)
    assert said.returncode == 3
    assert "--redis URL" in said.stderr


def test_a_stack_whose_owner_was_killed_does_not_count(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "20260101T000000-up"
    run.mkdir(parents=True)
    stack = {"pid": 1, "contract": "gadget", "replicas": 1, "addresses": {}, "pods": []}
    (run / "stack.json").write_text(json.dumps(stack))
    (run / "stack.lock").touch()
    assert "no stack of `limpet up` runs" in limpet("status", cwd=tmp_path).stderr
    assert "has ended" in limpet("status", str(run)).stderr


def test_nothing_that_answers_is_exit_code_3(tmp_path: Path) -> None:
    said = limpet("doctor", "--redis", "redis://127.0.0.1:1/0", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert said.returncode == 3
    assert "nothing answers" in said.stderr


def test_contract_check_says_ok_and_what_can_be_judged() -> None:
    said = limpet("contract", "check", "gadget")
    assert said.returncode == 0
    assert "gadget.toml: ok" in said.stdout
    assert "replicas" in said.stdout


def test_contract_check_exits_with_2_when_a_claim_cannot_be_judged(tmp_path: Path) -> None:
    text = shipped.contract("gadget").read_text().replace('websocket = "ws:{id}"\n', "")
    (tmp_path / "backend.toml").write_text(text)
    said = limpet("contract", "check", str(tmp_path / "backend.toml"))
    assert said.returncode == 2
    assert "redis.websocket" in said.stdout
    assert "nothing of it can be judged: affinity" in said.stdout


def test_contract_check_names_the_key_and_the_remedy_of_a_mistake(tmp_path: Path) -> None:
    text = shipped.contract("guide").read_text().replace("cookie =", "cokie =")
    (tmp_path / "backend.toml").write_text(text)
    said = limpet("contract", "check", str(tmp_path / "backend.toml"))
    assert said.returncode == 3
    assert "unknown key `ingress.cokie`; did you mean `cookie`?" in said.stderr


def test_a_new_contract_can_be_checked_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "backend.toml"
    path.write_text(limpet("contract", "new").stdout)
    said = limpet("contract", "check", str(path))
    assert said.returncode in (0, 2)  # 2 while a guarantee of the guide has no suite
    assert "my-backend offers list, create, delete" in said.stdout
