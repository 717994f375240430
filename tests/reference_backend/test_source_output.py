"""What a gadget's command writes becomes events, whatever it is and however it is cut."""

import json
import random
from typing import Any

import pytest
from backend.sources import recorded
from hypothesis import given
from hypothesis import strategies as st

from reference_backend.sources.output import (
    ARRAY_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    LINE_BYTES_MAX,
    OBJECT_BYTES_MAX,
    Document,
    IncompleteError,
    Lines,
    arrays,
)


def read(written: bytes, *cuts: int) -> list[Any]:
    """The events of a trace that is read in pieces."""
    lines = Lines()
    found: list[bytes] = []
    for start, end in zip((0, *cuts), (*cuts, len(written)), strict=True):
        found += lines.feed(written[start:end])
    return [json.loads(event) for event in [*found, *lines.end()]]


def whole(written: bytes, piece: int = 1000) -> list[Any]:
    """The events of a snapshot that is read in pieces."""
    document, found = Document(), []
    for start in range(0, len(written), piece):
        found += document.feed(written[start : start + piece])
    return [json.loads(event) for event in [*found, *document.end()]]


ROWS = recorded("trace_tcp")
NDJSON = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@given(st.lists(st.integers(0, len(NDJSON)), max_size=8).map(sorted))
def test_lines_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    assert read(NDJSON, *cuts) == ROWS


def test_an_event_is_passed_on_byte_by_byte_with_what_nobody_knows() -> None:
    line = b'{"proto": 6,  "error":111, "new": {"deep": [1.50, null]}, "n": 123456789012345678901234567890}'
    assert list(Lines().feed(line + b"\r\n")) == [line]


def test_a_last_line_without_a_break_is_an_event_and_half_of_one_is_said_to_be_unreadable() -> None:
    assert read(NDJSON.rstrip()) == ROWS
    *before, last = read(NDJSON[:-20])
    assert before == ROWS[:-1]
    assert last["reason"] == "no JSON"
    assert last["unreadable"].startswith('{"type": "close"')


@pytest.mark.parametrize(
    "line",
    [
        b"Pulling image",
        b"{",
        b'{"a": 1} {"b": 2}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": "\0"}',
        b"[" * 100_000,
        b'{"a":' * 990 + b"1" + b"}" * 990,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"42",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
    ],
)
def test_a_line_that_is_no_event_is_shown_and_the_next_one_is_read(line: bytes) -> None:
    found = read(line + b"\n" + NDJSON)
    assert set(found[0]) == {"unreadable", "reason"}
    assert len(found[0]["unreadable"]) <= 1000
    assert found[1:] == ROWS


def test_blank_lines_are_no_events() -> None:
    assert read(b"\n \r\n\t\n") == []


def test_bytes_that_are_no_utf_8_are_replaced_and_the_others_kept() -> None:
    (event,) = read(b'{"args": "/bin/\xff", "comm": "caf\xc3\xa9"}\n')
    assert event == {"args": "/bin/\ufffd", "comm": "caf\u00e9"}


@pytest.mark.parametrize("size", [OBJECT_BYTES_MAX - 10, OBJECT_BYTES_MAX, OBJECT_BYTES_MAX + 1, 3 * LINE_BYTES_MAX])
def test_a_long_line_is_kept_up_to_the_bound_and_shown_shortened_above(size: int) -> None:
    line = b'{"args": "' + b"x" * (size - 12) + b'"}'
    assert len(line) == size
    first, *rest = read(line + b"\n" + NDJSON, *range(50_000, size, 50_000))
    assert rest == ROWS
    if size <= OBJECT_BYTES_MAX:
        assert first == json.loads(line)
    else:
        assert str(size) in first["reason"]
        assert len(json.dumps(first)) < 2000


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("piece", [1, 7, 1000, 1_000_000])
def test_a_snapshot_is_one_array_however_it_is_printed(indent: int | None, piece: int) -> None:
    (rows,) = recorded("snapshot_process")
    assert whole(json.dumps(rows, indent=indent).encode() + b"\n", piece) == [rows]


def test_a_snapshot_is_there_with_its_last_byte_and_not_before() -> None:
    (rows,) = recorded("snapshot_process")
    written = json.dumps(rows).encode()
    document = Document()
    assert document.feed(written[:-1]) == []
    assert [json.loads(event) for event in document.feed(b"]")] == [rows]


def test_a_snapshot_written_as_rows_becomes_one_array() -> None:
    (rows,) = recorded("snapshot_process")
    assert whole("".join(json.dumps(row) + "\n" for row in rows).encode()) == [rows]


def test_an_empty_snapshot_is_an_empty_array_and_nothing_is_none() -> None:
    assert whole(b"[]\n") == [[]]
    assert whole(b"\n") == []


@pytest.mark.parametrize("written", [b'[{"a": 1}, {"b"', b"Error: no such gadget", b'{"a": 1}\nnoise\n'])
def test_half_a_snapshot_is_none(written: bytes) -> None:
    with pytest.raises(IncompleteError, match="no whole JSON"):
        whole(written)


def test_a_snapshot_without_end_is_given_up() -> None:
    with pytest.raises(IncompleteError, match=str(DOCUMENT_BYTES_MAX)):
        whole(b'["' + b"x" * DOCUMENT_BYTES_MAX, 1_000_000)


def test_an_array_that_is_too_large_for_a_message_becomes_several_with_all_rows() -> None:
    draw = random.Random(7)
    rows = [{"n": n, "text": "x" * draw.randrange(5000)} for n in range(600)]
    for found in ([*map(json.loads, arrays(rows))], whole(json.dumps(rows).encode(), 65_536)):
        assert len(found) > 1
        assert all(len(json.dumps(part, separators=(",", ":"))) <= ARRAY_BYTES_MAX for part in found)
        assert [row for part in found for row in part] == rows


def test_a_row_that_is_too_large_is_shown_shortened_among_the_others() -> None:
    rows = [{"n": 1}, {"n": 2, "text": "x" * ARRAY_BYTES_MAX}, {"n": 3}]
    (found,) = whole(json.dumps(rows).encode())
    assert (found[0], found[2]) == (rows[0], rows[2])
    assert "unreadable" in found[1]
