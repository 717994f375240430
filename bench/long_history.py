"""A long history of registers that are right, and one read in it that is not.

Every operation takes effect at a moment of its own between its call and its return. One of unknown outcome takes effect
later, by chance, or never; its process number is retired, as the harness does it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from limpet.history import Line

INFO = 0.01
LATE = 0.5  # of those: take effect after the client gave up


@dataclass(slots=True)
class _Call:
    """An operation under way."""

    op: Literal["read", "write"]
    process: int
    session: int
    value: int | None
    call_no: int
    effected: bool = False


@dataclass(slots=True)
class _Session:
    value: int | None = None
    written: list[tuple[int, int, int]] = field(default_factory=list)  # (value, line of call, line of return)


class LongHistory:
    """Writes one with so many operations.

    Attributes:
        stale_line: where the read came back that is wrong; 0 while there is none.
    """

    def __init__(self, operations: int, *, sessions: int, processes: int, seed: int, stale: bool = False) -> None:
        self._operations = operations
        self._random = random.Random(seed)
        self._sessions = [_Session() for _ in range(sessions)]
        self._idle = list(range(1, processes + 1))
        self._processes = processes
        self._busy: list[_Call] = []
        self._late: list[_Call] = []
        self._no = 1  # of the last line; the first is `begin`
        self._begun = 0
        self._stale_from = operations // 2 if stale else operations + 1
        self.stale_line = 0

    def write(self, path: Path) -> None:
        """Write it as limpet/history.py does."""
        encode = msgspec.json.Encoder().encode
        with path.open("xb") as file:
            file.write(encode(Line(0, "begin", "bench")) + b"\n")
            for line in self._lines():
                file.write(encode(line) + b"\n")
            file.write(encode(Line(self._no, "end", "bench", data={"lines": self._no - 1})) + b"\n")

    def _lines(self) -> Iterator[Line]:
        rnd = self._random
        while self._begun < self._operations or self._busy:
            if self._late and rnd.random() < INFO:
                self._effect(self._late.pop())
            if self._idle and self._begun < self._operations and rnd.random() < 1 / 3:
                yield self._call(self._idle.pop(rnd.randrange(len(self._idle))))
            elif self._busy:
                at = rnd.randrange(len(self._busy))
                call = self._busy[at]
                if call.effected:
                    self._busy.pop(at)
                    yield self._return(call)
                elif rnd.random() < INFO:
                    self._busy.pop(at)
                    yield self._give_up(call)
                else:
                    self._effect(call)

    def _call(self, process: int) -> Line:
        self._begun += 1
        self._no += 1
        session = self._random.randrange(len(self._sessions))
        write = self._random.random() < 1 / 2
        call = _Call("write" if write else "read", process, session, self._begun if write else None, self._no)
        self._busy.append(call)
        return self._line("invoke", call)

    def _effect(self, call: _Call) -> None:
        session = self._sessions[call.session]
        call.effected = True
        if call.op == "write":
            session.value = call.value
        else:
            call.value = session.value

    def _return(self, call: _Call) -> Line:
        self._no += 1
        self._idle.append(call.process)
        written = self._sessions[call.session].written
        if call.op == "write" and call.value is not None:
            written.append((call.value, call.call_no, self._no))
        elif self._begun > self._stale_from and not self.stale_line:
            call.value = self._stale(call) or call.value
        return self._line("ok", call)

    def _stale(self, call: _Call) -> int | None:
        """A value that another had followed before the read began: its write had returned when the other's began."""
        written = [one for one in self._sessions[call.session].written if one[2] < call.call_no]
        for value, _, done_no in reversed(written):
            if any(done_no < later_call for _, later_call, _ in written):
                self.stale_line = self._no
                return value
        return None

    def _give_up(self, call: _Call) -> Line:
        self._no += 1
        self._processes += 1
        self._idle.append(self._processes)
        if self._random.random() < LATE:
            self._late.append(call)
        return self._line("info", call)

    def _line(self, kind: str, call: _Call) -> Line:
        return Line(self._no * 1000, kind, call.op, call.process, f"session-{call.session}", call.value)
