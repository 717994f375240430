"""True data of the machine that the replica runs on: its processes, its sockets, what happens to its connections.

The kernel is asked through psutil, which reads whole tables. One thread reads them for all sessions, each table at most
so often that it takes a fifth of a processor; sessions that want a table of the same moment share it.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import psutil

from reference_backend.session import Session
from reference_backend.sources import connections, processes
from reference_backend.sources.base import Emit, SourceError
from reference_backend.sources.connections import Watched
from reference_backend.sources.output import arrays

LOOK_S = 0.2
SHARE = 5

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="host")


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """A table as it stood at `at_s` (monotonic); reading it took `cost_s` of processor time."""

    rows: T
    at_s: float
    cost_s: float


class Table(Generic[T]):
    """One of the kernel's tables, shared by all sessions of this process."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._last: Look[T] | None = None

    async def look(self, since_s: float) -> Look[T]:
        """The table as it stood at `since_s` (monotonic) or later. Raises SourceError: it may not be read."""
        return await in_thread(lambda: self._look(since_s))

    def _look(self, since_s: float) -> Look[T]:
        if self._last is None or self._last.at_s < since_s:
            at_s, used_s = time.monotonic(), time.thread_time()
            rows = self._read()
            self._last = Look(rows, at_s, time.thread_time() - used_s)
        return self._last


SOCKETS = Table(connections.read)
PROCESSES = Table(processes.read)


async def in_thread(work: Callable[[], T]) -> T:
    """Do what asks the kernel where it holds nobody up. Raises SourceError: the kernel refuses."""
    try:
        return await asyncio.get_running_loop().run_in_executor(_reader, work)
    except (OSError, psutil.Error) as error:
        raise SourceError(f"this machine does not tell: {error}") from None


class Host:
    """One gadget on this machine. What it saw last is known to this process only."""

    position = None

    def __init__(self, session: Session) -> None:
        self._session = session
        self._type = session.type

    async def run(self, emit: Emit) -> None:
        """As `Source.run` says."""
        if self._type == "snapshot_process":
            found = await PROCESSES.look(time.monotonic())
            await _emit_all(lambda: arrays(processes.snapshot(found.rows, time.time())), emit)
        elif self._type == "snapshot_socket":
            sockets = await SOCKETS.look(time.monotonic())
            await _emit_all(lambda: arrays(connections.snapshot(sockets.rows, time.time())), emit)
        elif self._type == "top_process":
            await self._top(emit)
        else:
            await self._trace(emit)

    async def _trace(self, emit: Emit) -> None:
        look = await SOCKETS.look(time.monotonic())
        watched, wanted = Watched(look.rows), self._wanted()

        def seen() -> Iterator[bytes]:
            changes = [change for change in watched.look(look.rows) if change.kind in wanted]
            return map(_encode, connections.trace(changes, time.time()))

        while True:
            look = await _next(SOCKETS, look, LOOK_S)
            await _emit_all(seen, emit)

    async def _top(self, emit: Emit) -> None:
        interval_s, rows = self._session.parameters["interval"], int(self._session.parameters["maxEntries"])
        before = after = await PROCESSES.look(time.monotonic())

        def table() -> Iterator[bytes]:
            return arrays(processes.top(before.rows, after.rows, after.at_s - before.at_s, rows))

        while True:
            after = await _next(PROCESSES, before, interval_s)
            await _emit_all(table, emit)
            before = after

    def _wanted(self) -> set[str]:
        parameters = self._session.parameters
        only = {kind for kind in ("accept", "connect") if parameters.get(f"{kind}Only")}
        return only or {"connect", "accept", "close"}


async def _emit_all(events: Callable[[], Iterable[bytes]], emit: Emit) -> None:
    """Emit events that take a while to make, and questions to the kernel."""
    for event in await in_thread(lambda: list(events())):
        emit(event)


async def _next(table: Table[T], last: Look[T], interval_s: float) -> Look[T]:
    """The table one interval later. All sessions look at the same moments, so that one reading serves them all."""
    step_s = interval_s * max(1, math.ceil(SHARE * last.cost_s / interval_s))
    # Half a step at least: over less than that, shares of a processor mean nothing.
    due_s = (math.floor(last.at_s / step_s + 0.5) + 1) * step_s
    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
    return await table.look(due_s)
