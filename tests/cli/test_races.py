"""`limpet races` as a user has it: one schedule that is given, what is refused, and an end at any time."""

import re
import signal
from pathlib import Path

import pytest
from cli.running import Limpet, Start
from cli.test_clean_up import of_the_run, wait_for
from planted import scaled


def test_one_schedule_is_played_and_shown(limpet: Limpet, tmp_path: Path) -> None:
    ended = limpet("races", "--schedule", "A:update B:delete | A A x B B", "--run-dir", "run")
    assert ended.code == 0, ended.out + ended.err
    assert re.search(r"step +A backend-1 +B backend-2 +Redis", ended.out)
    assert "lock expires" in ended.out
    assert ended.out.splitlines()[-2:] == ["held: nothing went wrong", "run"]
    assert (tmp_path / "run" / "history-races.jsonl").exists()


def test_what_goes_wrong_is_shown_with_the_command_that_repeats_it(limpet: Limpet, tmp_path: Path) -> None:
    (tmp_path / "planted.toml").write_text(scaled.contract("lock-without-ttl"))
    ended = limpet("races", "--contract", "planted.toml", "--seed", "1")
    assert ended.code == 1, ended.out + ended.err
    assert "violated: every lock expires" in ended.out
    command = re.search(
        r"^Repeat: limpet (races --contract planted.toml --replicas 2) --schedule '(.*)'$", ended.out, re.MULTILINE
    )
    assert command, ended.out
    again = limpet(*command[1].split(), "--schedule", command[2])
    assert again.code == 1
    assert "violated: every lock expires" in again.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--schedule", "A:upsert"), "the calls read, update, delete, create"),
        (("--schedule", "A:read C:update"), "give 3 to 4 replicas"),
        (("--replicas", "1"), "give 2 to 4 replicas"),
        (("--replicas", "5"), "give 2 to 4 replicas"),
        (("--contract", "lockless.toml"), "redis.lock is not in the contract"),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_reason(
    limpet: Limpet, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    text = scaled.contract(None)
    (tmp_path / "lockless.toml").write_text(text.replace('lock = "lock:session:{id}"', ""))
    ended = limpet("races", *words)
    assert ended.code == 3, ended.out + ended.err
    assert says in " ".join((ended.out + ended.err).split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_an_exploration_that_was_ended(
    started: Start, tmp_path: Path, number: signal.Signals
) -> None:
    process = started("races", "--minutes", "5", "--run-dir", "run")
    run = tmp_path / "run"
    history = run / "history-races.jsonl"
    assert wait_for(lambda: history.exists() and history.read_text().count('"op":"end"') > 3, 60)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert wait_for(lambda: not of_the_run(run), 2.0), of_the_run(run)
