"""One direction of a connection: what was read on one side, looked at, kept back or late, and written on the other.

Ends travel as bytes do, in their place: nothing that was sent before an end or a reset is lost by it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from limpet.links.pace import Pace

QUEUED_BYTES_MAX = 1 << 20

Tap = Callable[[bytes], int]
"""Looks at bytes that are about to pass and says how many may; what it keeps back it gets again, at the beginning."""


class Lane:
    """One direction.

    Attributes:
        reader: where it comes from; None until that side is connected.
        writer: where it goes to.
        stalled: nothing passes.
        full: the writer cannot take more just now.
        held: the tap keeps something back.
        pace: when what passes is due; None: at once.
        tap: looks at all that passes.
        ended: what ends this direction was read: no more comes.
        done: its orderly end has come out.
    """

    def __init__(self, on_end: Callable[[], None], on_reset: Callable[[], None]) -> None:
        """`on_end` is called when an orderly end has come out, `on_reset` when a reset has."""
        self.reader: asyncio.Transport | None = None
        self.writer: asyncio.Transport | None = None
        self.stalled = False
        self.full = False
        self.held = False
        self.pace: Pace | None = None
        self.tap: Tap | None = None
        self.ended = False
        self.done = False
        self._on_end = on_end
        self._on_reset = on_reset
        self._reset = False
        self._read = b""  # and not looked at
        self._queue: deque[tuple[float, bytes]] = deque()  # looked at; when it is due
        self._queued = 0
        self._last_s = 0.0
        self._end_due_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def take(self, data: bytes) -> None:
        """Bytes were read."""
        self._read = self._read + data if self._read else data
        self.move()

    def end(self, *, reset: bool) -> None:
        """The reading side has ended; after an orderly end a reset may still come."""
        self.ended = True
        self._reset = self._reset or reset
        self._end_due_s = None
        self.move()

    def clear(self, *, pace: Pace | None) -> None:
        """What waited for its time is due now; what comes is due as this pace says."""
        self.pace = pace
        self._queue = deque((0.0, piece) for _, piece in self._queue)
        self._last_s = 0.0
        self._end_due_s = None

    def close(self) -> None:
        """Let nothing pass any more."""
        self.stalled = True
        if self._timer:
            self._timer.cancel()

    def move(self) -> None:
        """Let pass what may, and read on or not."""
        if self.stalled or self.writer is None or (self.writer.is_closing() and not self._reset):
            self._read_on(go=False)
            return
        self.held = False
        while self._read and not self.full and self._queued < QUEUED_BYTES_MAX and not self.held:
            self._look()
        self._write()
        waits = bool(self._read) or self.full or self._queued >= QUEUED_BYTES_MAX
        self._read_on(go=not waits)

    def _look(self) -> None:
        data = self._read
        passed = self.tap(data) if self.tap else len(data)
        self._read = data[passed:]
        self.held = passed < len(data)
        if not passed:
            return
        data = data[:passed] if self.held else data
        if self.pace is None and not self._queue and self.writer and not self.writer.is_closing():
            self._put(data)
        else:
            self._late(data)

    def _late(self, data: bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        pieces = self.pace.pieces(data, now_s, self._last_s) if self.pace else iter(((self._last_s, data),))
        for self._last_s, piece in pieces:
            self._queue.append((self._last_s, piece))
            self._queued += len(piece)

    def _write(self) -> None:
        """What is due now; then the end, if that is due."""
        assert self.writer is not None  # move() has seen to it
        now_s = asyncio.get_running_loop().time()
        while self._queue and self._queue[0][0] <= now_s and not self.full:
            _, piece = self._queue.popleft()
            self._queued -= len(piece)
            if not self.writer.is_closing():
                self._put(piece)
        if self._queue:
            self._wake_at(self._queue[0][0])
        elif self.ended and not self._read and not self.full:
            if self._end_due_s is None:
                paced = self.pace.pieces(b"", now_s, self._last_s) if self.pace else iter(((now_s, b""),))
                self._end_due_s = next(paced)[0]
            if self._end_due_s > now_s:
                self._wake_at(self._end_due_s)
            elif self._reset:
                self._on_reset()
            elif not (self.done or self.writer.is_closing()):
                self.done = True
                self.writer.write_eof()
                self._on_end()

    def _put(self, data: bytes) -> None:
        assert self.writer is not None  # move() has seen to it
        with suppress(RuntimeError):  # what uvloop raises once it has closed the handle; that it is lost comes later
            self.writer.write(data)

    def _wake_at(self, at_s: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at_s, self.move)

    def _read_on(self, *, go: bool) -> None:
        if self.reader is None or self.reader.is_closing():
            return
        if go and not self.ended:
            self.reader.resume_reading()
        elif not go:
            self.reader.pause_reading()
