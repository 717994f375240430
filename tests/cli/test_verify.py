import socket
from pathlib import Path

import pytest
from cli.running import Limpet

from limpet import history as histories
from limpet import shipped


def contract(tmp_path: Path, wrong: str, right: str) -> str:
    """The shipped contract with one thing changed."""
    text = shipped.contract("gadget").read_text()
    assert wrong in text
    path = tmp_path / "changed.toml"
    path.write_text(text.replace(wrong, right, 1))
    return str(path)


def test_a_correct_backend_is_held_and_can_be_judged_again(limpet: Limpet, tmp_path: Path) -> None:
    ended = limpet("verify", "--only", "replicas", "--seed", "71")
    assert ended.code == 0, ended.out + ended.err
    *_, line, directory = ended.out.strip().splitlines()
    assert line == "limpet: held 1, unknown 0, violated 0, unsupported 0, not claimed 0"
    run = tmp_path / directory
    files = {path.name for path in run.iterdir()}
    assert files >= {
        "verdict.json",
        "junit.xml",
        "summary.md",
        "report.html",
        "history-replicas.jsonl",
        "contract.toml",
    }
    assert limpet("recheck", directory).code == 0
    history = run / "history-replicas.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if '"visit"' in line and '"ok"' in line)
    history.write_text("".join(lines[:number] + lines[number + 1 :]))
    again = limpet("recheck", directory)
    assert again.code == 2
    assert "changed: replicas was held, is unknown" in again.out
    history.unlink()
    gone = limpet("recheck", directory)
    assert gone.code == 3
    assert "history-replicas.jsonl" in gone.err


def test_a_wrong_key_name_is_violated(limpet: Limpet, tmp_path: Path) -> None:
    changed = contract(tmp_path, 'active = "sessions:active"', 'active = "session:active"')
    ended = limpet("verify", "--contract", changed, "--only", "session-record")
    assert ended.code == 1, ended.out + ended.err
    assert "is not in" in ended.out
    assert "session:active" in ended.out


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        (
            '["{python}", "-m", "reference_backend"]',
            '["{python}", "-c", "raise SystemExit(\'no licence\')"]',
            "no licence",
        ),
        ('["{python}", "-m", "reference_backend"]', '["no-such-program"]', "no-such-program"),
    ],
)
def test_a_backend_that_does_not_start_is_no_verdict(
    limpet: Limpet, tmp_path: Path, wrong: str, right: str, said: str
) -> None:
    ended = limpet("verify", "--contract", contract(tmp_path, wrong, right), "--only", "replicas")
    assert ended.code == 3, ended.out + ended.err
    assert said in ended.out.replace("\n", " ")


def test_a_port_that_is_taken_is_named(limpet: Limpet) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = limpet("verify", "--only", "replicas", "--port", str(port))
    assert ended.code == 3, ended.out + ended.err
    assert str(port) in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "--only", "replica"), "did you mean"),
        (("verify", "--contract", "none.toml"), "--contract FILE"),
        (("verify", "--replicas", "0"), "--replicas"),
        (("verfy",), "verify"),
        (("recheck", "nowhere"), "nowhere"),
    ],
)
def test_a_wrong_word_is_answered_with_what_to_write(limpet: Limpet, words: tuple[str, ...], said: str) -> None:
    ended = limpet(*words)
    assert ended.code == 3
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_run_directory_is_never_written_twice(limpet: Limpet, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("mine")
    ended = limpet("verify", "--only", "replicas", "--run-dir", "mine")
    assert ended.code == 3
    assert "not empty" in ended.err


def test_unclaimed_guarantees_alone_are_no_pass(limpet: Limpet) -> None:
    ended = limpet("verify", "--only", "capacity")
    assert ended.code == 2
    assert "not claimed 1" in ended.out


def test_the_history_says_what_was_run(limpet: Limpet, tmp_path: Path) -> None:
    limpet("verify", "--only", "replicas", "--seed", "5", "--replicas", "3", "--run-dir", "run")
    section = histories.read(tmp_path / "run" / "history-replicas.jsonl")
    (_, target) = next(section.of("target"))
    assert (target.data["replicas"], target.data["seed"], target.data["contract"]) == (3, 5, "gadget")
