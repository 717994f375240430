"""A source that invents events and counts them on a clock, so that a loss anywhere can be seen in the count.

Event n is due at start + n / rate, whoever observes it: what nobody observed is missing from the count and is never
made up for. All that a source knows is the last n that it gave, its position.
"""

import asyncio
import time

import msgspec

from reference_backend.catalogue import GADGETS
from reference_backend.session import NS_PER_S, Session, rfc3339
from reference_backend.sources.base import Emit
from reference_backend.sources.samples import Event, sample

TICK_S = 0.02
BURST = 500
ROWS_OF_ONE = 5
ONCE = ("snapshot", "profile")


class _Counted(msgspec.Struct):
    n: int = 0


class _Message(msgspec.Struct):
    """As much of a message as tells the count."""

    data: _Counted | list[_Counted] = []


_message = msgspec.json.Decoder(_Message)


def position_now(session: Session, last: bytes) -> int:
    """The position at this moment: what fell due before it is lost. Never before what the stream's last event says."""
    data = _message.decode(last).data if last else []
    told = max((row.n for row in (data if isinstance(data, list) else [data])), default=0)
    if GADGETS[session.type].category in ONCE:
        return told
    return max(told, int((time.time() - session.start_s) * _rate(session)))


def _rate(session: Session) -> float:
    return 1 / session.parameters["interval"] if GADGETS[session.type].category == "top" else session.rate


class Synthetic:
    """Invented events at a steady rate; a snapshot or a profile once."""

    def __init__(self, session: Session, position: int = 0) -> None:
        self._session = session
        self._gadget = GADGETS[session.type]
        self._start_s = session.start_s
        self._n = position
        self._encode = msgspec.json.Encoder().encode

    @property
    def position(self) -> int:
        """As `Source.position` says."""
        return self._n

    async def run(self, emit: Emit) -> None:
        """As `Source.run` says."""
        parameters = self._session.parameters
        if self._gadget.category == "profile" and not self._n:
            await asyncio.sleep(max(0.0, self._start_s + parameters["duration"] - time.time()))
        if self._gadget.category in ONCE:
            self._once(emit)
        else:
            await self._count(_rate(self._session), emit, rows=int(parameters.get("maxEntries", 0)))

    def _once(self, emit: Emit) -> None:
        if not self._n:
            self._n = ROWS_OF_ONE
            emit(self._encode([self._event(row, time.time()) for row in range(1, ROWS_OF_ONE + 1)]))

    async def _count(self, rate: float, emit: Emit, rows: int) -> None:
        """Emit event after event as each falls due; those that a late wake-up finds due are all emitted."""
        least_s = 0.0  # the first one is not waited for longer than it takes to fall due
        while True:
            due_n = min(int((time.time() - self._start_s) * rate), self._n + BURST)
            while self._n < due_n:
                self._n += 1
                due_s = self._start_s + self._n / rate
                emit(self._table(due_s, rows) if rows else self._padded(self._event(self._n, due_s)))
            next_s = self._start_s + (self._n + 1) / rate - time.time()
            await asyncio.sleep(max(least_s, next_s) if next_s > -TICK_S else 0)
            least_s = TICK_S

    def _table(self, due_s: float, rows: int) -> bytes:
        table = [self._event(self._n, due_s) for _ in range(min(rows, ROWS_OF_ONE))]
        return self._encode(table)

    def _event(self, n: int, due_s: float) -> Event:
        return sample(self._session, self._gadget.event_type, n, rfc3339(due_s), int(due_s * NS_PER_S))

    def _padded(self, event: Event) -> bytes:
        data = self._encode(event)
        missing = self._session.size - len(data) - len(b',"padding":""')
        return b'%b,"padding":"%b"}' % (data[:-1], b"x" * missing) if missing > 0 else data
