"""A timeline has the pods, sections, operations and faults of a history, and stays small however long that is."""

from collections.abc import Iterable
from typing import Any

from limpet.history import Line
from limpet.report.picture import picture
from limpet.report.timeline import BUCKETS, LANES_MAX, STRIKES_MAX, Span, timeline

S = 1_000_000_000


def _note(at_s: float, type_: str, op: str = "", **data: Any) -> Line:
    return Line(int((100 + at_s) * S), type_, op, data=data)


def _pod(at_s: float, phase: str, name: str = "backend-0", restarts: int = 0) -> Line:
    return _note(at_s, "pod", phase, name=name, phase=phase, restarts=restarts)


def _whole(lines: Iterable[Line], duration_s: float = 10) -> list[Line]:
    return [_note(0, "begin", "locking"), *lines, _note(duration_s, "end", "locking")]


def test_a_pod_has_its_phases_one_after_the_other() -> None:
    drawn = timeline(_whole([_pod(1, "pending"), _pod(2, "ready"), _pod(5, "ready"), _pod(8, "terminating")]))
    assert [lane.pod for lane in drawn.lanes] == ["backend-0"]
    assert drawn.lanes[0].stretches == (Span("pending", 1, 2), Span("ready", 2, 8), Span("terminating", 8, 10))


def test_nothing_is_drawn_while_a_pod_has_no_process() -> None:
    drawn = timeline(_whole([_pod(1, "ready"), _pod(2, "exited"), _pod(4, "pending", restarts=1)]))
    assert drawn.lanes[0].stretches == (Span("ready", 1, 2), Span("pending", 4, 10))
    assert drawn.lanes[0].starts_s == (4,)


def test_snapshots_of_all_pods_are_drawn_too() -> None:
    both = [{"name": "backend-0", "phase": "ready"}, {"name": "backend-1", "phase": "not ready"}]
    drawn = timeline(_whole([_note(1, "pods", pods=both), _note(3, "pods", pods=both[1:])]))
    assert {lane.pod: lane.stretches for lane in drawn.lanes} == {
        "backend-0": (Span("ready", 1, 3),),
        "backend-1": (Span("not ready", 1, 10),),
    }


def test_a_section_is_a_band_from_begin_to_end() -> None:
    assert timeline(_whole([])).bands == (Span("locking", 0, 10),)


def test_rounds_divide_a_section() -> None:
    drawn = timeline(_whole([_note(2, "round", "kill pod"), _note(6, "round", "roll out")]))
    assert drawn.bands == (Span("locking", 0, 2), Span("kill pod", 2, 6), Span("roll out", 6, 10))


def test_a_section_without_its_end_is_drawn_to_the_last_line() -> None:
    assert timeline([_note(0, "begin", "locking"), _note(4, "note")]).bands == (Span("locking", 0, 4),)


def test_operations_are_counted_where_they_completed() -> None:
    lines = [
        Line(101 * S, "invoke", "create", 1),
        Line(109 * S, "ok", "create", 1),
        Line(109 * S, "invoke", "create", 1),
        Line(109 * S, "fail", "create", 1),
        Line(109 * S, "invoke", "create", 1),
        Line(109 * S, "info", "create", 1),
    ]
    assert timeline(_whole(lines)).operations[BUCKETS * 9 // 10] == (1, 1, 1)


def test_an_operation_that_never_came_back_counts_as_info_at_its_call() -> None:
    drawn = timeline(_whole([Line(101 * S, "invoke", "create", 1)]))
    assert drawn.operations[BUCKETS // 10] == (0, 0, 1)
    assert sum(map(sum, drawn.operations)) == 1


def test_a_fault_has_its_steps() -> None:
    lines = [
        _note(1, "fault", "inject", fault="kill pod"),
        _note(2, "fault", "effect", fault="kill pod"),
        _note(3, "fault", "not recovered", fault="kill pod", why="no ready replica"),
        _note(5, "fault", "inject", fault="kill pod"),
    ]
    strikes = timeline(_whole(lines)).strikes
    assert [[step.phase for step in strike.steps] for strike in strikes] == [
        ["inject", "effect", "not recovered"],
        ["inject"],
    ]
    assert strikes[0].steps[-1].why == "no ready replica"


def test_a_long_history_gives_a_small_picture() -> None:
    lines = [Line(100 * S + n, "ok", "create", n) for n in range(100_000)]
    lines += [_pod(n / 1000, "ready", f"backend-{n}") for n in range(500)]
    lines += [_note(n / 1000, "fault", "inject", fault="kill pod") for n in range(500)]
    drawn = timeline(_whole(lines))
    assert len(drawn.lanes) == LANES_MAX
    assert drawn.lanes_left_off == 500 - LANES_MAX
    assert len(drawn.strikes) == STRIKES_MAX
    assert len(picture(drawn, [(n, n / 100_000) for n in range(100_000)])) < 200_000


def test_lines_that_say_something_else_are_drawn_as_far_as_they_go() -> None:
    lines = [
        _note(1, "pods", pods="none"),
        _note(1, "pods", pods=[1, {"phase": ["ready"]}]),
        _note(1, "pod", name=None, phase={}, restarts="x"),
        _note(1, "fault", "heal"),
        _note(1, "end"),
        _note(1, "round"),
    ]
    assert picture(timeline(_whole(lines)), []).startswith("<svg")


def test_a_history_of_one_line_is_drawn() -> None:
    assert picture(timeline([_note(0, "begin", "locking")]), [(1, 0.0)]).startswith("<svg")


def test_marks_and_labels_are_escaped(hostile_text: str) -> None:
    lines = [
        _pod(1, hostile_text, hostile_text),
        _note(2, "round", hostile_text),
        _note(3, "fault", hostile_text, fault=hostile_text, why=hostile_text),
    ]
    svg = picture(timeline(_whole(lines)), [(1, 2.0)])
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
