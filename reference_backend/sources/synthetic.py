"""A source that invents events and counts them on a clock, so that a loss anywhere can be seen in the count.

Event n is due at start + n / rate, whoever observes it: what nobody observed is missing from the count and is never
made up for.
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
ROWS_OF_A_SNAPSHOT = 5


class Synthetic:
    """Invented events at a steady rate; a snapshot or a profile once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gadget = GADGETS[session.type]
        self._start_s = session.start_s
        self._n = 0
        self._encode = msgspec.json.Encoder().encode

    async def run(self, emit: Emit) -> None:
        """As `Source.run` says."""
        parameters = self._session.parameters
        if self._gadget.category == "snapshot":
            emit(self._encode([self._event(row, time.time()) for row in range(1, ROWS_OF_A_SNAPSHOT + 1)]))
        elif self._gadget.category == "profile":
            await asyncio.sleep(max(0.0, self._start_s + parameters["duration"] - time.time()))
            emit(self._encode([self._event(row, time.time()) for row in range(1, ROWS_OF_A_SNAPSHOT + 1)]))
        elif self._gadget.category == "top":
            await self._count(1 / parameters["interval"], emit, rows=int(parameters["maxEntries"]))
        else:
            await self._count(self._session.rate, emit, rows=0)

    async def _count(self, rate: float, emit: Emit, rows: int) -> None:
        """Emit event after event as each falls due; those that a late wake-up finds due are all emitted."""
        while True:
            due_n = min(int((time.time() - self._start_s) * rate), self._n + BURST)
            while self._n < due_n:
                self._n += 1
                due_s = self._start_s + self._n / rate
                emit(self._table(due_s, rows) if rows else self._padded(self._event(self._n, due_s)))
            next_s = self._start_s + (self._n + 1) / rate - time.time()
            await asyncio.sleep(max(TICK_S, next_s) if next_s > -TICK_S else 0)

    def _table(self, due_s: float, rows: int) -> bytes:
        table = [self._event(self._n, due_s) for _ in range(min(rows, ROWS_OF_A_SNAPSHOT))]
        return self._encode(table)

    def _event(self, n: int, due_s: float) -> Event:
        return sample(self._session, self._gadget.event_type, n, rfc3339(due_s), int(due_s * NS_PER_S))

    def _padded(self, event: Event) -> bytes:
        data = self._encode(event)
        missing = self._session.size - len(data) - len(b',"padding":""')
        return b'%b,"padding":"%b"}' % (data[:-1], b"x" * missing) if missing > 0 else data
