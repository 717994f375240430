"""One relayed connection: bytes of a pod to what it depends on, and back, in order and unchanged.

A side that cannot take more makes the other side stop reading, so that nothing piles up in the relay. Ends travel as
they came: an orderly end as one, a reset as a reset.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import cast

from limpet.links.conversation import Conversation
from limpet.links.lane import Lane

LINGER_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: closing resets


class Side(asyncio.Protocol):
    """One end of the connection: towards the pod, or towards the dependency. `lane` begins here, `other` ends here."""

    def __init__(self, connection: "Connection", lane: Lane, other: Lane) -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self._lane = lane
        self._other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the connection."""
        self.transport = self._lane.reader = self._other.writer = cast("asyncio.Transport", transport)
        self.connection.joined(self)

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        self._lane.take(data)

    def eof_received(self) -> bool:
        """Hand on the end of this direction, and keep the other one open."""
        self._lane.end(reset=False)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as a Protocol
        """Hand on that this side is gone, as a reset; an orderly end comes from `eof_received`."""
        self._lane.end(reset=True)

    def pause_writing(self) -> None:
        """Stop reading from the other side."""
        self._other.full = True
        self._other.move()

    def resume_writing(self) -> None:
        """Read on from the other side."""
        self._other.full = False
        self._other.move()


class Connection:
    """Both sides, and what is done to them.

    Attributes:
        there: what goes from the pod to the dependency.
        back: what comes back.
        near: the side towards the pod.
        far: the side towards the dependency; it has no transport until it was reached.
        conversation: what understands the bytes, where Redis is spoken.
    """

    def __init__(
        self,
        arrived: Callable[["Connection"], None],
        left: Callable[["Connection"], None],
        conversation: Conversation | None = None,
    ) -> None:
        self.there = Lane(self._ended, self._reset)
        self.back = Lane(self._ended, self._reset)
        self.near = Side(self, self.there, self.back)
        self.far = Side(self, self.back, self.there)
        self.conversation = conversation
        if conversation:
            self.there.tap = conversation.command
            self.back.tap = self._reply
            conversation.let_through = self.flow
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
        elif self.conversation and side.transport:
            host, port = side.transport.get_extra_info("sockname")[:2]
            self.conversation.address = f"{host}:{port}"

    def reach(self, host: str, port: int, source: str) -> None:
        """Connect the far side, from the address `source`, if that was not begun yet; a refusal resets the near one."""
        if self._reaching is None and not self.over:
            self._reaching = asyncio.ensure_future(self._reach(host, port, source))

    def stall(self, *, stalled: bool) -> None:
        """Stop both directions, or let them go on."""
        self.there.stalled = self.back.stalled = stalled
        self.flow()

    def flow(self) -> None:
        """Let pass what may."""
        for lane in (self.there, self.back):
            if not self.over:
                lane.move()

    def end(self, *, reset: bool) -> None:
        """End both sides."""
        if self.over:
            return
        self.over = True
        if self._reaching:
            self._reaching.cancel()
        for lane, side in ((self.there, self.near), (self.back, self.far)):
            lane.close()
            if reset:
                abort(side.transport)
            elif side.transport:
                side.transport.close()
        if self.conversation:
            self.conversation.end()
        self._left(self)

    def _ended(self) -> None:
        if self.there.done and self.back.done:
            self.end(reset=False)

    def _reset(self) -> None:
        self.end(reset=True)

    def _reply(self, data: bytes) -> int:
        """Listen to replies; one that must not pass ends the connection, when what came before it is written."""
        assert self.conversation is not None  # or this was not called
        passed = self.conversation.reply(data)
        if passed < len(data):
            asyncio.get_running_loop().call_soon(partial(self.end, reset=True))
        return passed

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
