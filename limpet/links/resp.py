"""Where one thing that Redis and its clients say ends and the next begins: RESP2, RESP3 and inline commands.

Fed with whatever arrives, it tells of each whole command or reply when its last byte is there. Of long texts and long
lists only the beginning is kept, so that a reply of a gigabyte costs no memory.

Source: the Redis serialization protocol specification, https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KEEP_BYTES = 256  # of one text
KEEP_ITEMS = 64  # of one list
LINE_BYTES_MAX = 1 << 16  # as the server's own limit of an inline command
DEPTH_MAX = 128
TEXTS = "$=!"
VALUES_AN_ITEM = {"*": 1, "~": 1, ">": 1, "%": 2, "|": 2}  # of the kinds of lists
INLINE = "i"
MORE = ""  # nothing is complete yet
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|(\S+)')


class NotRespError(Exception):
    """These bytes are none of the protocol; from here on nobody knows where anything ends."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that the server answered: `ERR unknown command`."""

    error: str


SIMPLE: Mapping[str, Callable[[bytes], Any]] = {
    "+": lambda rest: rest[:KEEP_BYTES].decode(errors="replace"),
    "-": lambda rest: Fault(rest[:KEEP_BYTES].decode(errors="replace")),
    ":": int,
    "(": lambda rest: rest[:KEEP_BYTES].decode(),
    "_": lambda _: None,
    "#": lambda rest: rest == b"t",
    ",": float,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole command or reply.

    Attributes:
        end: where it ends in the bytes that were fed last: one behind its last byte.
        kind: its first byte: `*`, `+`, `>` ...; `i` for an inline command.
        value: str (simple string), bytes, int, float, bool, None, Fault, or a list of these; a map is a list of its
            keys and values in turn. Of a text the first KEEP_BYTES, of a list the first KEEP_ITEMS.
    """

    end: int
    kind: str
    value: Any


class Scanner:
    """One direction of one connection. `commands`: what a client sends; else what the server sends."""

    def __init__(self, *, commands: bool) -> None:
        self._commands = commands
        self._line = b""  # the beginning of a line whose end has not come
        self._text: bytearray | None = None  # the beginning of a text whose end has not come
        self._text_kind = "$"
        self._left = 0  # bytes of that text that have not come
        self._open: list[tuple[str, int, list[Any]]] = []  # lists: kind, values still to come, values kept

    def feed(self, data: bytes, start: int = 0) -> Iterator[Frame]:
        """What `data` brings to its end, from `start` on. A caller who stops in between feeds on behind that frame.

        Raises:
            NotRespError: as it says; do not feed again.
        """
        at, size = start, len(data)
        while at < size:
            if self._left:
                at = self._take_text(data, at)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                if len(self._line) > LINE_BYTES_MAX:
                    raise NotRespError("a line without an end")
                return
            line, self._line = self._line + data[at : end + 1], b""
            at, kind, value = self._take_line(line, data, end + 1)
            frame = None if kind == MORE else self._complete(at, kind, value)
            if frame:
                yield frame

    def _take_line(self, line: bytes, data: bytes, at: int) -> tuple[int, str, Any]:
        """A whole line; `data` goes on at `at`. Where it goes on then, and the value that is complete, if one is."""
        if self._text is not None:
            if line != b"\r\n":
                raise NotRespError("a text that is longer than it says")
            text, self._text = bytes(self._text), None
            return at, self._text_kind, _text(self._text_kind, text)
        if self._commands and not self._open and line[:1] != b"*":
            return at, INLINE, _inline(line)
        kind, rest = _head(line)
        if self._commands and self._open and kind != "$":
            raise NotRespError(f"a command with {line[:20]!r} in it")
        if kind in TEXTS:
            return self._take_text_head(kind, _count(rest), data, at)
        if kind in VALUES_AN_ITEM:
            length = _count(rest) * VALUES_AN_ITEM[kind]
            if length > 0:
                self._begin(kind, length)
                return at, MORE, None
            return at, kind, None if length < 0 else []
        return at, kind, _simple(kind, rest)

    def _take_text_head(self, kind: str, length: int, data: bytes, at: int) -> tuple[int, str, Any]:
        if length < 0:
            if self._commands:
                raise NotRespError("a command with nothing in the place of a word")
            return at, kind, None
        end = at + length
        if data[end : end + 2] == b"\r\n":  # all of it is there, as nearly always
            return end + 2, kind, _text(kind, data[at : min(end, at + KEEP_BYTES)])
        self._text, self._text_kind, self._left = bytearray(), kind, length
        return at, MORE, None

    def _take_text(self, data: bytes, at: int) -> int:
        assert self._text is not None  # of which some is left
        taken = min(self._left, len(data) - at)
        self._text += data[at : at + min(taken, KEEP_BYTES - len(self._text))]
        self._left -= taken
        return at + taken

    def _begin(self, kind: str, length: int) -> None:
        if len(self._open) >= DEPTH_MAX:
            raise NotRespError(f"lists in lists, {DEPTH_MAX} deep")
        self._open.append((kind, length, []))

    def _complete(self, at: int, kind: str, value: Any) -> Frame | None:
        """Put a complete value where it belongs; the frame, if one is complete with it."""
        while self._open:
            outer, left, kept = self._open.pop()
            if kind != "|":  # attributes stand before what they belong to, and are no value themselves
                left -= 1
                if len(kept) < KEEP_ITEMS:
                    kept.append(value)
            if left:
                self._open.append((outer, left, kept))
                return None
            kind, value = outer, kept
        if kind == "|" or (self._commands and not value):  # an empty command is none, and gets no reply
            return None
        return Frame(at, kind, value)


def _head(line: bytes) -> tuple[str, bytes]:
    if not line.endswith(b"\r\n"):
        raise NotRespError(f"a line that ends like {line[-20:]!r}")
    return chr(line[0]), line[1:-2]


def _count(digits: bytes) -> int:
    try:
        number = int(digits)
    except ValueError:
        raise NotRespError(f"{digits[:20]!r} for a length") from None
    return max(number, -1)


def _text(kind: str, text: bytes) -> Any:
    return Fault(text.decode(errors="replace")) if kind == "!" else text


def _simple(kind: str, rest: bytes) -> Any:
    read = SIMPLE.get(kind)
    try:
        if read is not None:
            return read(rest)
    except ValueError:
        pass
    raise NotRespError(f"{kind!r} with {rest[:20]!r}")


def _inline(line: bytes) -> list[bytes]:
    if line[:1].isalpha() or not line.strip():
        return [quoted or single or bare for quoted, single, bare in WORD.findall(line)][:KEEP_ITEMS]
    raise NotRespError(f"a command that begins like {line[:20]!r}")
