"""What a gadget's command writes, made into events: one JSON value a line, or one array over many lines.

An event is the program's own JSON, unchanged: fields that nobody here knows, or whose kind differs between versions,
are passed on as they are. What is no JSON stands in the stream as `{"unreadable": TEXT, "reason": WHY}`, so that
nothing is left out unsaid.
"""

from collections.abc import Iterable, Iterator

import msgspec

OBJECT_BYTES_MAX = 65_536  # as the largest that the synthetic source makes
ARRAY_BYTES_MAX = 524_288  # half of what many WebSocket clients take as one message
LINE_BYTES_MAX = 1_048_576
DOCUMENT_BYTES_MAX = 8_388_608
DEPTH_SPARED = 200  # of the interpreter's recursion limit, which reading the event inside its message needs too
SHOWN_CHARS = 1_000
NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_rows = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class IncompleteError(Exception):
    """What should be one array or object is none; the message says how it looks."""


class Lines:
    """Cuts a byte stream into lines of bounded length."""

    def __init__(self) -> None:
        self._part = bytearray()
        self._skipped = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The events of the lines that `piece` completes."""
        first, *others = piece.split(b"\n")
        self._add(first)
        for other in others:
            yield from self.end()
            self._add(other)

    def end(self) -> Iterator[bytes]:
        """The events of what was fed since the last line break: at the end of the stream that is a half line."""
        line, skipped = bytes(self._part), self._skipped
        self._part.clear()
        self._skipped = 0
        if skipped:
            yield _unreadable(line, f"a line of {len(line) + skipped} bytes; {LINE_BYTES_MAX} are the most")
        else:
            yield from events(line)

    def _add(self, part: bytes) -> None:
        room = LINE_BYTES_MAX - len(self._part)
        self._part += part[:room]
        self._skipped += max(0, len(part) - room)


class Document:
    """Collects the one value that a snapshot or a profile writes, in as many lines as it likes."""

    def __init__(self) -> None:
        self._text = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The events of the array that `piece` completes; after that the next one begins.

        Raises:
            IncompleteError: it is too long.
        """
        self._text += piece
        if len(self._text) > DOCUMENT_BYTES_MAX:
            self._text.clear()
            raise IncompleteError(f"a result of more than {DOCUMENT_BYTES_MAX} bytes")
        if not piece.rstrip().endswith(b"]") or not self._text.lstrip().startswith(b"["):
            return []
        try:
            return self._take(_text(bytes(self._text)))
        except NO_JSON:
            return []

    def end(self) -> list[bytes]:
        """The events of what is left at the end of the stream: one value, rows in lines of their own, or nothing.

        Raises:
            IncompleteError: it is something else.
        """
        text = _text(bytes(self._text)).strip()
        if not text:
            return []
        try:
            return self._take(text)
        except NO_JSON:
            pass
        rows: list[msgspec.Raw] = []
        for line in text.splitlines():
            try:
                _check(line)
                rows += _rows.decode(line) if line.startswith(b"[") else [msgspec.Raw(line)]
            except NO_JSON:
                raise IncompleteError(f"the result is no whole JSON: {_shown(line)}") from None
        return list(_arrays(rows))

    def _take(self, text: bytes) -> list[bytes]:
        _check(text)
        found = list(_events(msgspec.json.format(text, indent=-1)))
        self._text.clear()
        return found


def events(line: bytes) -> Iterator[bytes]:
    """The events of one line; none if it is blank."""
    text = _text(line).strip()
    if not text:
        return
    try:
        _check(text)
    except NO_JSON:
        yield _unreadable(text, "no JSON")
    else:
        yield from _events(text)


def arrays(rows: Iterable[object]) -> Iterator[bytes]:
    """Rows of a table as one array, or as several where one would be too large for a message."""
    return _arrays([msgspec.Raw(_encode(row)) for row in rows])


def _check(text: bytes) -> None:
    """Raises one of NO_JSON unless it is JSON, and not nested so deep that readers of the message would fail."""
    msgspec.json.decode(b"[" * DEPTH_SPARED + text + b"]" * DEPTH_SPARED)


def _events(text: bytes) -> Iterator[bytes]:
    """The events of one JSON value."""
    if text.startswith(b"["):
        yield from [text] if len(text) <= ARRAY_BYTES_MAX else _arrays(_rows.decode(text))
    elif not text.startswith(b"{"):
        yield _unreadable(text, "neither an object nor an array")
    elif len(text) > OBJECT_BYTES_MAX:
        yield _unreadable(text, f"an object of {len(text)} bytes; {OBJECT_BYTES_MAX} are the most")
    else:
        yield text


def _arrays(rows: list[msgspec.Raw]) -> Iterator[bytes]:
    part: list[bytes] = []
    size = 0
    for row in rows:
        raw = bytes(row)
        if len(raw) > OBJECT_BYTES_MAX:
            raw = _unreadable(raw, f"a row of {len(raw)} bytes; {OBJECT_BYTES_MAX} are the most")
        if size + len(raw) > ARRAY_BYTES_MAX:
            yield b"[" + b",".join(part) + b"]"
            part, size = [], 0
        part.append(raw)
        size += len(raw) + 1
    yield b"[" + b",".join(part) + b"]"


def _text(raw: bytes) -> bytes:
    """As UTF-8; what is none becomes U+FFFD."""
    return raw.decode(errors="replace").encode()


def _shown(text: bytes) -> str:
    shown = text[: 4 * SHOWN_CHARS].decode(errors="replace")[:SHOWN_CHARS]
    return "".join(c if c.isprintable() else " " for c in shown)


def _unreadable(text: bytes, reason: str) -> bytes:
    return _encode({"unreadable": _shown(text), "reason": reason})
