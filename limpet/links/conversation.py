"""One connection where Redis is spoken: which reply belongs to which command.

It sees all bytes of both directions and says how many of them may pass. Whatever it does not understand passes: it
stops listening then, and says in the log from when on.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from limpet.clock import now_ns
from limpet.links.gate import SUBSCRIBES
from limpet.links.log import NONE, REPLIED, UNDELIVERED, Exchange, Lost
from limpet.links.resp import Frame, NotRespError, Scanner
from limpet.links.watch import Watch

MESSAGES = frozenset((b"message", b"pmessage", b"smessage"))
PUSHED = MESSAGES | frozenset(name.lower() for name in SUBSCRIBES)
NOBODY_KNOWS = 1 << 30  # how many confirmations an end of all subscriptions brings; they are listened for from then on
STREAMS = frozenset((b"MONITOR", b"SYNC", b"PSYNC"))  # what comes after these are no replies


@dataclass(slots=True)
class _Asked:
    """A command under way."""

    words: list[bytes]
    place: int
    sent_ns: int
    cut: bool = False
    queued: list["_Asked"] = field(default_factory=list)  # what an EXEC carries out
    in_multi: bool = False  # and not refused
    ticket: int = 0  # under which it, or its EXEC, stood at the gate


class Conversation:
    """Commands and replies of one connection.

    Attributes:
        address: what the server knows it by, once it is connected.
        let_through: has the connection look again at what it keeps back.
    """

    def __init__(self, watch: Watch, pod: str, number: int) -> None:
        self.address = ""
        self.let_through: Callable[[], None] = lambda: None
        self._watch = watch
        self._pod = pod
        self._number = number
        self._count = 0
        self._commands = Scanner(commands=True)
        self._replies = Scanner(commands=False)
        self._asked: deque[_Asked] = deque()
        self._queue: list[_Asked] | None = None  # inside MULTI: what was queued
        self._held: tuple[Frame, int] | None = None  # a command that is kept back, and how many of its bytes are
        self._ticket = 0  # of a command that stands at the gate, or has just been let through
        self._admitted = False
        self._subscribed = False
        self._unconfirmed = 0  # of subscriptions and their ends
        self._lost = False

    def command(self, data: bytes) -> int:
        """How many of these bytes may pass to the server. The rest must be given again, at the beginning, later."""
        if self._lost:
            return len(data)
        at = 0
        if self._held:
            frame, at = self._held
            if self._kept_back(frame.value):
                return 0
            self._held = None
            self._sent(frame.value)
        try:
            for frame in self._commands.feed(data, at):
                if self._kept_back(frame.value):
                    self._held = frame, frame.end - at
                    return at
                at = frame.end
                self._sent(frame.value)
                if self._lost:
                    break
        except NotRespError as error:
            self._lose(str(error))
        return len(data)

    def reply(self, data: bytes) -> int:
        """How many of these bytes may pass to the pod; fewer than all: it is to be reset behind them."""
        if self._lost:
            return len(data)
        at = 0
        try:
            for frame in self._replies.feed(data):
                if not self._is_pushed(frame) and not self._answered(frame.value):
                    return at
                at = frame.end
        except NotRespError as error:
            self._lose(str(error))
        return len(data)

    def end(self) -> None:
        """The connection is over; what was not answered never will be."""
        self._leave_gate()
        self.note_open()
        self._asked.clear()
        self._queue = None

    def note_open(self) -> None:
        """Write down what is not answered yet."""
        for asked in self._asked:
            if not asked.in_multi:
                self._write(asked, None, 0, NONE)
            for one in asked.queued:
                if one.in_multi:
                    self._write(one, None, 0, NONE)
        for one in self._queue or ():
            if one.in_multi:
                self._write(one, None, 0, NONE, aborted=True)  # without an EXEC

    def _kept_back(self, words: list[bytes]) -> bool:
        """Whether this command, which is the next, must not pass yet."""
        if self._watch.holds(words):
            return True
        queued = None if self._queue is None else (one.words for one in self._queue)
        if not self._watch.gate.stops(words, queued):
            self._leave_gate()  # it was opened
            return False
        if not self._ticket:
            self._ticket = self._watch.gate.arrive(words, self._admit)
        return not self._admitted

    def _leave_gate(self) -> None:
        if self._ticket:
            self._watch.gate.leave(self._ticket)
            self._ticket, self._admitted = 0, False

    def _admit(self) -> None:
        self._admitted = True
        self.let_through()

    def _sent(self, words: list[bytes]) -> None:
        name = words[0].upper()
        self._count += 1
        asked = _Asked(words, self._count, now_ns(), ticket=self._ticket)
        self._ticket, self._admitted = 0, False
        if name in STREAMS or (name == b"CLIENT" and words[1:2] and words[1].upper() == b"REPLY"):
            self._lose(f"{b' '.join(words[:2]).decode(errors='replace')} was asked for")
            return
        if name in SUBSCRIBES:
            self._subscribed = True
            self._unconfirmed += len(words) - 1 or NOBODY_KNOWS
            self._write(asked, None, 0, NONE)
            return
        if self._queue is not None and name in (b"EXEC", b"DISCARD", b"RESET"):
            asked.queued, self._queue = self._queue, None
            asked.cut = any(one.cut for one in asked.queued)
            for one in asked.queued:
                one.cut, one.ticket = False, asked.ticket
        asked.cut = self._watch.cuts(words) or asked.cut
        if self._queue is not None:
            asked.in_multi = True
            self._queue.append(asked)
        elif name == b"MULTI":
            self._queue = []
        self._asked.append(asked)

    def _is_pushed(self, frame: Frame) -> bool:
        """Whether this is no reply but what subscriptions and tracking bring."""
        if frame.kind == ">":
            return True
        value = frame.value
        if not (self._subscribed and frame.kind == "*" and value and value[0] in PUSHED):
            return False
        if value[0] not in MESSAGES:
            self._unconfirmed -= 1
            if value[-1] == 0 and self._unconfirmed <= 0:
                self._subscribed = False
        return True

    def _answered(self, value: Any) -> bool:
        """Note a reply; whether it may pass."""
        if not self._asked:
            raise NotRespError("a reply that nobody asked for")
        asked = self._asked.popleft()
        if asked.in_multi and value == "QUEUED":
            return True  # its reply comes with the EXEC
        asked.in_multi = False  # if it was, it is refused
        at_ns = now_ns()
        outcome = UNDELIVERED if asked.cut else REPLIED
        self._note_queued(asked, value, at_ns, outcome)
        self._write(asked, value, at_ns, outcome)
        if asked.cut:
            self._watch.was_cut()
        return not asked.cut

    def _note_queued(self, asked: _Asked, value: Any, at_ns: int, outcome: str) -> None:
        """What an EXEC, or a DISCARD, means to what was queued."""
        waiting = [one for one in asked.queued if one.in_multi]
        if isinstance(value, list) and len(value) == len(waiting):
            for one, reply in zip(waiting, value, strict=True):
                self._write(one, reply, at_ns, outcome)
            return
        for one in waiting:  # too long a list to be kept, or no list: aborted
            self._write(one, None, at_ns, NONE, aborted=not isinstance(value, list))

    def _write(self, asked: _Asked, value: Any, at_ns: int, outcome: str, *, aborted: bool = False) -> None:
        exchange = Exchange(
            self._pod,
            self.address,
            self._number,
            asked.place,
            asked.sent_ns,
            at_ns,
            asked.words,
            value,
            outcome,
            queued=asked.in_multi,
            aborted=aborted,
        )
        self._watch.write(exchange)
        if asked.ticket:
            self._watch.gate.answered(asked.ticket, exchange, last=not asked.in_multi)

    def _lose(self, why: str) -> None:
        self._lost = True
        self.end()
        self._watch.write(Lost(self._pod, self.address, self._number, now_ns(), why))
