import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet import history as histories
from limpet.clock import now_ns
from limpet.errors import ClientError, HistoryError, RefusedError
from limpet.history import FLUSH_BYTES, FLUSH_NS, History, Line, Recorder, Section


def stored(history: History) -> Section:
    history.close()
    return histories.read(history.path)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history-x.jsonl", "x")
    yield history
    history.close()


async def test_an_operation_is_two_lines_of_one_process(history: History) -> None:
    recorder = Recorder(history)
    async with recorder.operation("update", "s", 17) as done:
        done.ok(pod="a", status=200)
    (op,) = stored(history).ops("update")
    assert (op.call.type, op.type, op.call.value, op.pod, op.data) == ("invoke", "ok", 17, "a", {"status": 200})
    assert op.done is not None
    assert op.done.t >= op.call.t


async def test_operations_of_two_processes_may_overlap(history: History) -> None:
    first, second = Recorder(history), Recorder(history)
    async with first.operation("read", "s") as one:
        async with second.operation("read", "s") as two:
            two.ok(value=2)
        one.ok(value=1)
    assert [op.done and op.done.value for op in stored(history).ops()] == [1, 2]


async def test_operations_of_one_client_that_overlap_are_told_apart(history: History) -> None:
    recorder = Recorder(history)
    async with recorder.operation("read", "s") as one:
        async with recorder.operation("read", "s") as two:
            two.ok(value=2)
        one.ok(value=1)
    ops = stored(history).ops()
    assert [op.done and op.done.value for op in ops] == [1, 2]
    assert ops[0].call.process != ops[1].call.process


async def test_a_client_keeps_its_number_from_operation_to_operation(history: History) -> None:
    recorder = Recorder(history)
    for _ in range(2):
        async with recorder.operation("read", "s") as done:
            done.ok()
    first, second = stored(history).ops()
    assert first.call.process == second.call.process


async def test_a_definite_error_is_fail_and_the_process_goes_on(history: History) -> None:
    recorder = Recorder(history)
    number = recorder.process
    async with recorder.operation("create"):
        raise RefusedError("no connection")
    assert recorder.process == number
    assert [op.type for op in stored(history).ops()] == ["fail"]


async def test_an_unclear_error_is_info_and_retires_the_process(history: History) -> None:
    recorder = Recorder(history)
    number = recorder.process
    async with recorder.operation("create"):
        raise ClientError("reset")
    assert recorder.process != number
    assert [op.type for op in stored(history).ops()] == ["info"]


async def test_a_mistake_of_the_harness_is_recorded_and_raised(history: History) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Recorder(history).operation("create"):
            raise ZeroDivisionError
    assert [op.type for op in stored(history).ops()] == ["info"]


async def test_an_operation_that_never_completed_is_info(history: History) -> None:
    recording = Recorder(history).operation("create")
    await recording.__aenter__()
    (op,) = stored(history).ops()
    assert (op.type, op.done) == ("info", None)


async def test_an_error_after_the_answer_counts_and_the_answer_does_not(history: History) -> None:
    async with Recorder(history).operation("update", "s", 1) as done:
        done.ok(session="other", value=2, pod="a", status=200)
        raise ClientError("reset")
    (op,) = stored(history).ops()
    assert op.done is not None
    assert (op.type, op.done.session, op.done.value, op.pod) == ("info", "s", 1, "")
    assert op.data == {"error": "ClientError: reset"}


async def test_a_block_that_says_nothing_is_info(history: History) -> None:
    async with Recorder(history).operation("update", "s", 1):
        pass
    (op,) = stored(history).ops()
    assert (op.type, op.data) == ("info", {"error": "nothing came back"})


async def test_a_completion_without_session_and_value_repeats_those_of_the_call(history: History) -> None:
    async with Recorder(history).operation("update", "s", 1) as done:
        done.refused(pod="a", status=409)
    (op,) = stored(history).ops()
    assert op.done is not None
    assert (op.type, op.done.session, op.done.value, op.pod, op.data) == ("fail", "s", 1, "a", {"status": 409})


def test_a_whole_history_has_no_damage(history: History) -> None:
    history.note("fault", "inject", fault="kill")
    section = stored(history)
    assert section.damage == ""
    assert section.guarantee == "x"
    assert section.where(2) == "history-x.jsonl line 2"


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_any_line_that_is_missing_is_damage(history: History, gone: int) -> None:
    history.note("a")
    history.note("b")
    stored(history)
    lines = history.path.read_bytes().splitlines(keepends=True)
    history.path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    assert histories.read(history.path).damage != ""


def test_a_value_that_is_no_json_is_refused_and_leaves_the_history_whole(history: History) -> None:
    history.note("before")
    with pytest.raises(TypeError):
        history.note("broken", before="x" * 100, thing=object())
    history.note("after")
    section = stored(history)
    assert section.damage == ""
    assert [line.type for line in section.lines] == ["begin", "before", "after", "end"]


def test_lines_of_one_moment_are_handed_over_together(history: History) -> None:
    for _ in range(10):
        history.write(Line(0, "message"))
    assert history.path.read_bytes().count(b"\n") == 1
    history.write(Line(now_ns() + FLUSH_NS, "message"))
    assert history.path.read_bytes().count(b"\n") == 12


def test_many_lines_are_handed_over_before_their_moment_is_past(history: History) -> None:
    for _ in range(FLUSH_BYTES // 10):
        history.write(Line(0, "message"))
    assert history.path.stat().st_size >= FLUSH_BYTES


KILLED = """
import os, signal, sys
from pathlib import Path
from limpet.history import History, Line
history = History(Path(sys.argv[1]), "x")
for number in range(20_000):
    history.write(Line(number, "message", value=number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_history_of_a_killed_harness_is_what_it_recorded_first_and_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "history-x.jsonl"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -signal.SIGKILL
    section = histories.read(path)
    assert section.damage == "its end was never written, or is missing"
    assert len(section.lines) > 10_000
    assert [line.value for line in section.lines[1:]] == list(range(len(section.lines) - 1))


def test_lines_after_the_end_are_not_part_of_it(history: History) -> None:
    history.close()
    history.note("late")
    assert [line.type for line in histories.read(history.path).lines] == ["begin", "end"]


def test_a_history_is_never_overwritten(history: History) -> None:
    with pytest.raises(HistoryError, match="give a new run directory"):
        History(history.path, "x")


def test_a_missing_history_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="cannot be judged"):
        histories.read(tmp_path / "none.jsonl")


@pytest.mark.parametrize("text", ["", "{", '{"t": 1, "type": "ok", "colour": 3}', '{"type": "ok"}'])
def test_what_is_no_history_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history-x.jsonl"
    path.write_text(text)
    with pytest.raises(HistoryError, match=r"line 1|is empty"):
        histories.read(path)
