"""What each watcher of a stream asked for and got, read out of a history.

A connection has one *leg* for each `subscribed` that it got: where the watcher was told to stand, and what came from
there on. Nearly every connection has one. A backend may also go over to another stream on the same connection; that is
a second leg, which goes on from where the first one ended as if it had been asked to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from limpet.history import Line, Section

UNNUMBERED = ("subscribed", "gap", "error", "unreadable")  # all else takes a number of the stream

Numbered = tuple[int, Line]
"""A line with its number in the history."""


@dataclass(frozen=True, slots=True)
class Leg:
    """What one watcher got from one `subscribed` to the next, or to the end of the connection.

    Attributes:
        watcher: who it is, over all its connections.
        pod: the replica that served it, "" where that is not known.
        call: where its connection was asked for.
        opened: its `subscribed`; where none came, the moment the connection was there.
        after: the number after which it asked to go on; None, it asked for what comes from now on.
        asked_stream: the stream that it asked for, "" for the present one.
        told: whether a `subscribed` came.
        start: the number that it was told to stand at, None where that is not known.
        stream: the stream that it was told, "" where it was told none.
        recovered: whether it was told that it gets all it asked for, None where it was told nothing.
        messages: all that came after the `subscribed`.
        numbered: (number, line's number, line) of those messages of the session that have a number, as they came.
        closed: where the connection ended, None where that was not seen or another leg followed.
    """

    session: str
    watcher: int
    pod: str
    call: Numbered
    opened: Numbered
    after: int | None
    asked_stream: str
    told: bool
    start: int | None
    stream: str
    recovered: bool | None
    messages: tuple[Numbered, ...]
    numbered: tuple[tuple[int, int, Line], ...]
    closed: Numbered | None

    @property
    def gaps(self) -> list[tuple[int, int, int]]:
        """(first, last, line's number) of what was announced as lost; what is no range is left out."""
        pairs = ((range_of(line), no) for no, line in self.messages if line.op == "gap")
        return [(*range_, no) for range_, no in pairs if range_]

    @property
    def end(self) -> tuple[int, int] | None:
        """(number, line's number) of the first `session_ended`."""
        return next(((seq, no) for seq, no, line in self.numbered if line.op == "session_ended"), None)

    @property
    def position(self) -> int:
        """The number up to which it has everything, or was told that it is lost."""
        ends = [seq for seq, _, _ in self.numbered] + [last for _, last, _ in self.gaps]
        return max([self.start or 0, *ends])

    @property
    def code(self) -> int | None:
        """How the other side closed it; None while it is open, or where the watcher left."""
        if self.closed is None or self.closed[1].data.get("own"):
            return None
        code = self.closed[1].data.get("code")
        return code if isinstance(code, int) else 0

    @property
    def elsewhere(self) -> bool:
        """Whether it was told another stream than the one that it asked for."""
        return bool(self.asked_stream and self.stream and self.asked_stream != self.stream)


@dataclass(slots=True)
class _Open:
    """A connection while its lines are read."""

    call: Numbered
    opened: Numbered
    after: int | None
    asked_stream: str
    pod: str
    told: Line | None = None
    messages: list[Numbered] = field(default_factory=list)

    def leg(self, closed: Numbered | None) -> Leg:
        _, call = self.call
        said = self.told.data if self.told else {}
        start = _integer(self.told.value) if self.told else self.after
        recovered = said.get("recovered")
        numbers = ((number_of(line), no, line) for no, line in self.messages)
        return Leg(
            session=call.session,
            watcher=watcher_of(call),
            pod=self.pod,
            call=self.call,
            opened=self.opened,
            after=self.after,
            asked_stream=self.asked_stream,
            told=self.told is not None,
            start=start,
            stream=str(said.get("stream") or ""),
            recovered=recovered if isinstance(recovered, bool) else None,
            messages=tuple(self.messages),
            numbered=tuple((seq, no, line) for seq, no, line in numbers if seq is not None),
            closed=closed,
        )


def legs(section: Section) -> list[Leg]:
    """All legs, those of one connection in their order."""
    found: list[Leg] = []
    calls: dict[int, Numbered] = {}
    open_: dict[int, _Open] = {}
    for no, line in section.of("invoke", "ok", "fail", "info", "message", "closed"):
        if line.type == "invoke":
            if line.op == "connect":
                calls[line.process] = (no, line)
        elif line.type == "closed":
            if line.process in open_:
                found.append(open_.pop(line.process).leg((no, line)))
        elif line.type == "message":
            if line.process in open_:
                found += _take(open_[line.process], no, line)
        elif line.op == "connect" and line.process in calls:
            call = calls.pop(line.process)
            if line.type == "ok":
                after, stream = asked(call[1])
                open_[line.process] = _Open(call, (no, line), after, stream, line.pod)
    found += [connection.leg(None) for connection in open_.values()]
    return sorted(found, key=lambda leg: leg.opened[0])


def _take(connection: _Open, no: int, line: Line) -> Iterator[Leg]:
    """Add a message; the leg that it ends, if it ends one."""
    if line.op != "subscribed":
        connection.messages.append((no, line))
        return
    if connection.told or connection.messages:
        leg = connection.leg(None)
        yield leg
        connection.messages = []
        connection.after, connection.asked_stream = leg.position, leg.stream
    connection.told, connection.opened = line, (no, line)


def watcher_of(call: Line) -> int:
    """Who connects; where that is not told, each connection is somebody else's."""
    who = call.value.get("watcher") if isinstance(call.value, dict) else None
    return who if isinstance(who, int) else call.process


def asked(call: Line) -> tuple[int | None, str]:
    """The number and the stream that a connect asked to go on from."""
    value = call.value if isinstance(call.value, dict) else {}
    return _integer(value.get("after")), str(value.get("stream") or "")


def number_of(line: Line) -> int | None:
    """A message's number in the stream of its session, None where it has none."""
    return None if line.op in UNNUMBERED or "of" in line.data else _integer(line.value)


def range_of(line: Line) -> tuple[int, int] | None:
    """First and last number of a `gap`, None where it names no range."""
    first, last = _integer(line.data.get("from")), _integer(line.data.get("to"))
    return (first, last) if first is not None and last is not None and first <= last else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
