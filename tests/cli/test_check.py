"""`limpet check` as a user meets it: verdicts, evidence, exit codes."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.running import Ended, Limpet

from limpet.cli import main

CORPUS = Path(__file__).parent.parent / "corpora" / "porcupine"


@pytest.fixture
def limpet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Limpet:
    """Run the command line in this process."""

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["limpet", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsys.readouterr()
        return Ended(int(str(ended.value.code)), seen.out, seen.err)

    return run


def written(path: Path, *operations: tuple[Any, ...]) -> str:
    """A file of operations one after the other: (process, op, value, answer, type), all on x."""
    with path.open("w") as file:
        for process, op, value, answer, *more in operations:
            line = {"process": process, "op": op, "key": "x"}
            file.write(json.dumps({**line, "type": "invoke", "value": value}) + "\n")
            file.write(json.dumps({**line, "type": more[0] if more else "ok", "value": answer}) + "\n")
    return str(path)


WRITE_1, WRITE_2, READ_1, READ_2 = (
    (1, "write", 1, None),
    (1, "write", 2, None),
    (2, "read", None, 1),
    (2, "read", None, 2),
)


def test_a_history_that_has_an_order_is_held(limpet: Limpet, tmp_path: Path) -> None:
    done = limpet("check", written(tmp_path / "h", WRITE_1, WRITE_2, READ_2), "--model", "register")
    assert (done.code, done.err) == (0, "")
    assert done.out == "held: h: 3 operations on 1 object: linearizable as register\n"


def test_a_stale_read_is_violated_and_named_by_its_lines(limpet: Limpet, tmp_path: Path) -> None:
    done = limpet("check", written(tmp_path / "h", WRITE_1, WRITE_2, READ_1), "--model", "register")
    assert done.code == 1
    assert "    lines 5, 6  read 1" in done.out


def test_values_written_twice_are_judged_by_search(limpet: Limpet, tmp_path: Path) -> None:
    right = limpet("check", written(tmp_path / "a", WRITE_1, WRITE_2, WRITE_1, READ_1), "--model", "register")
    wrong = limpet("check", written(tmp_path / "b", WRITE_1, WRITE_1, WRITE_2, READ_1), "--model", "register")
    assert (right.code, wrong.code) == (0, 1)
    assert "configurations" in right.out
    assert "lines 7, 8  read 1   <- not explained" in wrong.out


def test_what_proves_it_is_shown_and_nothing_else(limpet: Limpet) -> None:
    done = limpet("check", str(CORPUS / "kv" / "c10-bad.txt"))
    assert done.code == 1
    assert "2 operations prove it; 4 others make no difference" in done.out
    assert '    lines 154, 157  get ""   <- not explained' in done.out


@pytest.mark.parametrize(("name", "code"), [("etcd/etcd_002.log", 0), ("etcd/etcd_000.log", 1), ("kv/c10-ok.txt", 0)])
def test_the_formats_are_told_by_their_first_line(limpet: Limpet, name: str, code: int) -> None:
    assert limpet("check", str(CORPUS / name)).code == code


def test_a_budget_that_is_used_up_is_unknown(limpet: Limpet) -> None:
    done = limpet("check", str(CORPUS / "kv" / "c10-ok.txt"), "--budget", "0.001")
    assert done.code == 2
    assert done.out.startswith("unknown: c10-ok.txt: 337 operations on 10 objects: ")
    assert "give a larger --budget" in done.out


@pytest.mark.parametrize("model", ["register", "session"])
def test_a_record_that_lost_lines_is_unknown(limpet: Limpet, tmp_path: Path, model: str) -> None:
    (tmp_path / "h").write_text('{"t": 1, "type": "begin", "op": "x"}\n{"t": 2, "type": "end", "data": {"lines": 4}}\n')
    done = limpet("check", str(tmp_path / "h"), "--model", model)
    assert (done.code, done.out) == (
        2,
        "unknown: h is not whole: it was written with 4 lines and has 0; nothing follows from what is left\n",
    )


def test_nothing_judged_is_unknown(limpet: Limpet, tmp_path: Path) -> None:
    done = limpet("check", written(tmp_path / "h", (1, "read", None, None, "info")), "--model", "cas")
    assert done.code == 2
    assert "nothing was judged" in done.out


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (None, (), "No such file or directory; give a file with a history"),
        ("", (), "it is empty"),
        ("a,b,c\n", (), "its first line is 'a,b,c'"),
        ('{"type": "invoke", "op": "read", "process": 1}\n', (), "give --model: register, cas, map"),
        (
            '{"type": "invoke", "op": "rea", "process": 1}\n',
            ("--model", "cas"),
            "line 1: cas has no op 'rea'; did you mean 'read'?",
        ),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(
    limpet: Limpet, tmp_path: Path, text: str | None, words: tuple[str, ...], says: str
) -> None:
    path = tmp_path / "h"
    if text is not None:
        path.write_text(text)
    done = limpet("check", str(path), *words)
    assert (done.code, done.out) == (3, "")
    assert says in done.err
    assert "Traceback" not in done.err
