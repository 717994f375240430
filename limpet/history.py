"""The append-only record of one stack's run: what was asked, what came back, what was done to the target.

One JSON object a line, one file a stack; a stack is started to show one guarantee. Checkers read nothing else, so a
stored history can be judged again. The first line is `begin`; the last is `end` and says how many lines lie between
them, so that a lost line is noticed.

Times are nanoseconds of the harness's monotonic clock. An operation is two lines of one process: `invoke` before it
starts, then `ok`, `fail` (it definitely did not happen) or `info` (it may or may not have happened).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec

from limpet.clock import NS_PER_S, now_ns
from limpet.errors import ClientError, HistoryError

COMPLETIONS = ("ok", "fail", "info")
FLUSH_BYTES = 1 << 16
FLUSH_NS = NS_PER_S // 10


class Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line. `type` says which of the rest is there.

    Operations (`invoke`, `ok`, `fail`, `info`) have process, op and, where it concerns one, session; `pod` is the
    instance id of the replica that answered, as the answer itself says. Everything else (`begin`, `end`, `pod`,
    `fault`, `message`, ...) uses op and data.
    """

    t: int
    type: str
    op: str = ""
    process: int = -1
    session: str = ""
    value: Any = None
    pod: str = ""
    data: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Op:
    """An operation joined from its two lines; `done` is None while nothing came back."""

    call: Line
    done: Line | None
    call_no: int  # line numbers in the file, from 1
    done_no: int

    @property
    def type(self) -> str:
        """`ok`, `fail` or `info`; an operation that never completed is `info`."""
        return self.done.type if self.done else "info"

    @property
    def failed(self) -> bool:
        """Whether it came back without success; one that never came back was cut off with the record."""
        return self.done is not None and self.done.type != "ok"

    @property
    def data(self) -> Mapping[str, Any]:
        """What came back: status, body, headers, as the client recorded them."""
        return self.done.data if self.done else {}

    @property
    def pod(self) -> str:
        """The replica that answered, "" when not known."""
        return self.done.pod if self.done else ""


class Section:
    """The stored history of one guarantee's suite: its lines, numbered as in the file, and its operations.

    Attributes:
        guarantee: which it was recorded for.
        lines: line i stands at number i + 1 of the file.
        source: the file's name.
        damage: why it cannot be trusted to be whole, "" when it can.
    """

    def __init__(self, lines: Sequence[Line], source: str) -> None:
        first, last = lines[0], lines[-1]
        self.guarantee = first.op
        self.lines = lines
        self.source = source
        self.damage = ""
        if first.type != "begin":
            self.damage = "its first line is missing"
        elif last.type != "end":
            self.damage = "its end was never written, or is missing"
        elif last.data.get("lines") != len(lines) - 2:
            self.damage = f"it was written with {last.data.get('lines')} lines and has {len(lines) - 2}"

    @property
    def duration_s(self) -> float:
        """From the first line to the last."""
        return seconds_between(self.lines[0], self.lines[-1])

    def of(self, *types: str, op: str = "") -> Iterator[tuple[int, Line]]:
        """Numbered lines of these types (and this op)."""
        return ((no, line) for no, line in enumerate(self.lines, 1) if line.type in types and op in ("", line.op))

    def ops(self, *names: str) -> list[Op]:
        """Operations in the order of their calls; all, or those with these names."""
        calls: dict[int, tuple[int, Line]] = {}
        joined: dict[int, Op] = {}
        for no, line in enumerate(self.lines, 1):
            if line.type == "invoke":
                calls[line.process] = (no, line)
                joined[no] = Op(line, None, no, 0)
            elif line.type in COMPLETIONS and line.process in calls:
                call_no, call = calls.pop(line.process)
                joined[call_no] = Op(call, line, call_no, no)
        return [op for op in joined.values() if not names or op.call.op in names]

    def where(self, *numbers: int) -> str:
        """`history-gw0.jsonl lines 4118, 4127`."""
        word = "line" if len(numbers) == 1 else "lines"
        return f"{self.source} {word} {', '.join(map(str, numbers))}"


def seconds_between(earlier: Line, later: Line) -> float:
    """Seconds from one line to another; negative when the second came first."""
    return (later.t - earlier.t) / NS_PER_S


class History:
    """Writes the history of one guarantee's suite. Not for use from several threads.

    Lines gather in memory, since handing each to the operating system by itself would nearly double what recording
    costs. They are handed over when FLUSH_BYTES have gathered, and with the first line that comes FLUSH_NS after those
    handed over last. So a harness that is killed loses what it recorded in its last moment, and no verdict is the
    better for it. What was handed over outlives the process and is whole lines in their order: the record of a run that
    was stopped a moment earlier, whose operations under way may or may not have happened. And as its `end` is missing,
    nothing is held by it.
    """

    def __init__(self, path: Path, guarantee: str) -> None:
        self.path = path
        self._guarantee = guarantee
        try:
            self._file: BinaryIO = path.open("xb", buffering=FLUSH_BYTES)
        except OSError as error:
            raise HistoryError(f"{path}: {error.strerror}; give a new run directory that can be written") from error
        self._encode_into = msgspec.json.Encoder().encode_into
        self._text = bytearray()  # of one line; always the same one, which is cheaper than a new one for each
        self._flush_ns = 0  # the first line from then on takes along what has gathered
        self._closed = False
        self._count = -1  # `begin` does not count
        self._processes = 0
        self.note("begin", guarantee)

    def write(self, line: Line) -> None:
        """Append one line. After `close` the record is complete, and lines that still come are not part of it."""
        if self._closed:
            return
        text = self._text
        self._encode_into(line, text)
        text += b"\n"
        self._file.write(text)
        self._count += 1
        if line.t >= self._flush_ns:
            self._file.flush()
            self._flush_ns = line.t + FLUSH_NS

    def note(self, type_: str, op: str = "", **data: Any) -> None:
        """Append a line that is no operation."""
        self.write(Line(now_ns(), type_, op, data=data))

    def process(self) -> int:
        """A process number that nobody had yet."""
        self._processes += 1
        return self._processes

    def close(self) -> None:
        """Write the end and put everything on disk; closing again does nothing."""
        if not self._closed:
            self.note("end", self._guarantee, lines=self._count)
            self._closed = True
            self._file.close()


class Recorder:
    """A client of the history, who does one operation after the other under one process number.

    Operations that overlap get numbers of their own, since a process does one thing at a time; after an `info` the
    client goes on under a new one.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._process = history.process()
        self._busy = False

    def operation(self, op: str, session: str = "", value: Any = None) -> "Recording":
        """Record one operation: `async with recorder.operation("create") as done: ...; done.ok(...)`."""
        return Recording(self, self._history, op, session, value)

    @property
    def process(self) -> int:
        """The number that the next operation gets, unless one is still under way."""
        return self._process

    def take(self) -> int:
        """The process number for an operation that begins now."""
        if self._busy:
            return self._history.process()
        self._busy = True
        return self._process

    def give_back(self, process: int, *, ended: bool) -> None:
        """The operation came back; `ended` false: nobody knows whether it still goes on, and its number is retired."""
        if process != self._process:
            return
        self._busy = False
        if not ended:
            self._process = self._history.process()


class Recording:
    """An operation under way. Its completion is written when the block ends; an exception makes it `fail` or `info`."""

    __slots__ = ("_history", "_op", "_outcome", "_process", "_recorder", "_session", "_value")

    def __init__(self, recorder: Recorder, history: History, op: str, session: str, value: Any) -> None:
        self._recorder = recorder
        self._history = history
        self._op = op
        self._session = session
        self._value = value
        self._process = -1
        self._outcome: tuple[str, str, Any, str, dict[str, Any]] | None = None  # type, session, value, pod, data

    def ok(self, *, session: str = "", value: Any = None, pod: str = "", **data: Any) -> None:
        """It happened; `session` names what a create made."""
        self._outcome = "ok", session or self._session, self._value if value is None else value, pod, data

    def refused(self, *, pod: str = "", **data: Any) -> None:
        """It definitely did not happen."""
        self._outcome = "fail", self._session, self._value, pod, data

    def unclear(self, *, pod: str = "", **data: Any) -> None:
        """It may have happened."""
        self._outcome = "info", self._session, self._value, pod, data

    async def __aenter__(self) -> Self:
        self._process = process = self._recorder.take()
        self._history.write(Line(now_ns(), "invoke", self._op, process, self._session, self._value))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is not None:
            came_back = self.refused if isinstance(error, ClientError) and error.definite else self.unclear
            came_back(error=f"{type(error).__name__}: {error}")
        elif self._outcome is None:
            self.unclear(error="nothing came back")
        assert self._outcome is not None  # seen to just now
        type_, session, value, pod, data = self._outcome
        self._history.write(Line(now_ns(), type_, self._op, self._process, session, value, pod, data))
        self._recorder.give_back(self._process, ended=type_ != "info")
        return isinstance(error, ClientError)


def read(path: Path) -> Section:
    """A stored history.

    Raises:
        HistoryError: it is missing or empty, or a line is none of a history.
    """
    decoder = msgspec.json.Decoder(Line)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}; without its history a run cannot be judged") from error
    lines = []
    for no, text in enumerate(raw.splitlines(), 1):
        try:
            lines.append(decoder.decode(text))
        except msgspec.MsgspecError as error:
            raise HistoryError(f"{path} line {no}: {error}") from error
    if not lines:
        raise HistoryError(f"{path} is empty; without its history a run cannot be judged")
    return Section(lines, path.name)
