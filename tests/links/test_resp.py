"""The scanner finds the same values as hiredis and the right ends, however the bytes are cut."""

from itertools import pairwise
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.links.resp import KEEP_BYTES, KEEP_ITEMS, Fault, Frame, NotRespError, Scanner

line = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=20)
simple = st.one_of(
    line.map(lambda text: f"+{text}\r\n".encode()),
    line.map(lambda text: f"-ERR {text}\r\n".encode()),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: b":%d\r\n" % n),
    st.binary(max_size=40).map(lambda data: b"$%d\r\n%b\r\n" % (len(data), data)),
    st.sampled_from([b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b"#f\r\n", b",1.5\r\n", b"*0\r\n"]),
)
replies = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(lambda items: b"*%d\r\n" % len(items) + b"".join(items)),
        st.lists(st.tuples(line, inner), max_size=3).map(
            lambda pairs: b"%%%d\r\n" % len(pairs) + b"".join(b"+%b\r\n" % k.encode() + v for k, v in pairs)
        ),
    ),
    max_leaves=10,
)
words = st.lists(st.binary(max_size=30), min_size=1, max_size=6)


def fed(scanner: Scanner, data: bytes, cuts: list[int]) -> list[tuple[int, Any]]:
    """Values with the place of their ends in all the data."""
    found: list[tuple[int, Any]] = []
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(places):
        found += [(begin + frame.end, frame.value) for frame in scanner.feed(data[begin:end])]
    return found


def plain(value: Any) -> Any:
    """As hiredis gives it: a map is a table there, and an error an exception."""
    if isinstance(value, hiredis.ReplyError):
        return Fault(str(value))
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return [plain(one) for pair in value.items() for one in pair]
    return value.encode() if isinstance(value, str) else value


def bare(value: Any) -> Any:
    if isinstance(value, list):
        return [bare(one) for one in value]
    return value.encode() if isinstance(value, str) else value


def packed(command: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in command)


@given(st.lists(replies, min_size=1, max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
def test_replies_are_what_hiredis_reads(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    found = fed(Scanner(commands=False), data, cuts)
    ends = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
    assert [end for end, _ in found] == ends
    for part, (_, value) in zip(parts, found, strict=True):
        reader = hiredis.Reader()
        reader.feed(part)
        expected = plain(reader.gets())
        if b"%" not in part:  # where a key comes twice, hiredis has lost one
            assert bare(value) == expected


@given(st.lists(words, min_size=1, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_commands_are_what_was_sent(commands: list[list[bytes]], cuts: list[int]) -> None:
    data = b"".join(map(packed, commands))
    assert [value for _, value in fed(Scanner(commands=True), data, cuts)] == commands


def test_a_reply_can_be_cut_at_every_byte() -> None:
    data = b"*3\r\n$5\r\nhel\r\n\r\n%1\r\n+k\r\n,2.5\r\n*-1\r\n-ERR no\r\n$0\r\n\r\n>2\r\n+message\r\n:1\r\n"
    whole = fed(Scanner(commands=False), data, [])
    assert len(whole) == 4
    for place in range(1, len(data)):
        assert fed(Scanner(commands=False), data, [place]) == whole
    assert fed(Scanner(commands=False), data, list(range(len(data)))) == whole


def test_inline_commands_and_empty_lines_are_understood() -> None:
    data = b'PING\r\n\r\nSET k "a b"\n*0\r\n'
    assert [value for _, value in fed(Scanner(commands=True), data, [])] == [[b"PING"], [b"SET", b"k", b"a b"]]


def test_attributes_are_no_reply() -> None:
    data = b"|1\r\n+ttl\r\n:3\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n"
    assert [value for _, value in fed(Scanner(commands=False), data, [])] == [[1, 2]]


def test_of_what_is_long_the_beginning_is_kept() -> None:
    text = b"x" * 100_000
    data = b"$%d\r\n%b\r\n" % (len(text), text) + b"*1000\r\n" + b":1\r\n" * 1000
    found = fed(Scanner(commands=False), data, [10, 50_000])
    assert [value for _, value in found] == [text[:KEEP_BYTES], [1] * KEEP_ITEMS]


def test_a_caller_who_stops_goes_on_behind_the_frame() -> None:
    scanner = Scanner(commands=True)
    data = packed([b"GET", b"a"]) + packed([b"GET", b"b"])
    first = next(iter(scanner.feed(data)))
    assert isinstance(first, Frame)
    assert [frame.value for frame in scanner.feed(data, first.end)] == [[b"GET", b"b"]]


@pytest.mark.parametrize(
    ("commands", "data"),
    [
        (True, b"\x16\x03\x01\x02\r\n"),  # TLS
        (True, b"*1\r\n:1\r\n"),
        (True, b"*1\r\n$-1\r\n"),
        (False, b"HTTP/1.1 200 OK\r\n"),
        (False, b"$3\r\nabcd\r\n"),
        (False, b"*x\r\n"),
        (False, b":1\n"),
        (False, b"x" * 70_000),
    ],
)
def test_what_is_none_of_the_protocol_is_told(commands: bool, data: bytes) -> None:  # noqa: FBT001 - one of a table
    with pytest.raises(NotRespError):
        list(Scanner(commands=commands).feed(data))
