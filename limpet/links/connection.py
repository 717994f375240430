"""One relayed connection: bytes of a pod to what it depends on, and back, in order and unchanged.

A side that cannot take more makes the other side stop reading, so that nothing piles up in the relay. Ends travel as
they came: an orderly end as one, a reset as a reset.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

LINGER_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: closing resets


class Side(asyncio.Protocol):
    """One end of the connection: towards the pod, or towards the dependency."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self.full = False
        self.ended = False
        self.kept: list[bytes] = []  # read although reading was stopped: uvloop reads once after connection_made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the connection."""
        self.transport = cast("asyncio.Transport", transport)
        self.connection.joined(self)

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        self.kept.append(data)
        if not self.connection.stalled:
            self.hand_on()

    def eof_received(self) -> bool:
        """Hand on the end of this direction, and keep the other one open."""
        self.ended = True
        if not self.connection.stalled:
            self.hand_on()
        return not (self.other and self.other.ended)

    def hand_on(self) -> None:
        """Give the other side what was read, and the end after it, if it is there to take it."""
        writer = self.other.transport if self.other else None
        if writer is None or writer.is_closing():
            return
        if self.kept:
            writer.write(b"".join(self.kept) if len(self.kept) > 1 else self.kept[0])
            self.kept.clear()
        if self.ended:
            writer.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection: orderly if both directions had ended, else as a reset."""
        self.connection.end(reset=exc is not None or not self.ended)

    def pause_writing(self) -> None:
        """Stop reading from the other side."""
        self.full = True
        self.connection.flow()

    def resume_writing(self) -> None:
        """Read on from the other side."""
        self.full = False
        self.connection.flow()


class Connection:
    """Both sides, and what is done to them.

    Attributes:
        near: the side towards the pod.
        far: the side towards the dependency; it has no transport until it was reached.
        stalled: nothing is read from either side; what comes stays in the system's buffers.
    """

    def __init__(self, arrived: Callable[["Connection"], None], left: Callable[["Connection"], None]) -> None:
        self.near = Side(self)
        self.far = Side(self)
        self.near.other, self.far.other = self.far, self.near
        self.stalled = False
        self.over = False
        self._arrived = arrived
        self._left = left
        self._reaching: asyncio.Task[None] | None = None

    def joined(self, side: Side) -> None:
        """Note that a side has its transport now."""
        if self.over:
            abort(side.transport)
            return
        asyncio.get_running_loop().call_soon(self.flow)  # later, since uvloop begins to read after this
        if side is self.near:
            self._arrived(self)

    def reach(self, host: str, port: int, source: str) -> None:
        """Connect the far side, from the address `source`, if that was not begun yet; a refusal resets the near one."""
        if self._reaching is None and not self.over:
            self._reaching = asyncio.ensure_future(self._reach(host, port, source))

    def stall(self, *, stalled: bool) -> None:
        """Stop reading, or read on."""
        self.stalled = stalled
        self.flow()

    def flow(self) -> None:
        """Let each side read if the other one can take what comes."""
        for side in (self.near, self.far):
            reader, writer = side.transport, side.other
            if reader is None or reader.is_closing():
                continue
            if self.stalled or writer is None or writer.transport is None or writer.full:
                reader.pause_reading()
                continue
            side.hand_on()
            if not side.ended:
                reader.resume_reading()

    def end(self, *, reset: bool) -> None:
        """End both sides."""
        if self.over:
            return
        self.over = True
        if self._reaching:
            self._reaching.cancel()
        for side in (self.near, self.far):
            if reset:
                abort(side.transport)
            elif side.transport:
                side.transport.close()
        self._left(self)

    async def _reach(self, host: str, port: int, source: str) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self.far, host, port, local_addr=(source, 0))
        except OSError:
            self.end(reset=True)


def abort(transport: asyncio.Transport | None) -> None:
    """Reset: the peer gets ECONNRESET, and what was under way is dropped."""
    if transport is None:
        return
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    transport.abort()
