"""WebSocket frames written straight to the connection: one frame, built once, for every watcher of a session.

uvicorn's own `send` builds a frame for each connection, which is more than half of what an event costs. `FrameProtocol`
is uvicorn's WebSocket protocol with one more way in: it puts itself into the scope's extensions, and what is written
through it goes to the transport as it is. That leans on attributes of a uvicorn class
(tests/reference_backend/test_frames.py pins them), and works without compression only.
"""

import struct
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from reference_backend.messages import END_PREFIX

EXTENSION = "reference_backend.frames"
TEXT = 0x81
SHORT_MAX = 125
MEDIUM_MAX = 0xFFFF
CLOSE_WAIT_S = 10.0


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text message (RFC 6455, section 5.2)."""
    size = len(payload)
    if size <= SHORT_MAX:
        return bytes((TEXT, size)) + payload
    if size <= MEDIUM_MAX:
        return struct.pack("!BBH", TEXT, 126, size) + payload
    return struct.pack("!BBQ", TEXT, 127, size) + payload


class Batch:
    """Consecutive messages of one stream, framed once for all who read them.

    `first` and `last` are the `seq` of the first and the last of them; `ends` tells if the last ends it.
    """

    __slots__ = ("_frames", "ends", "first", "last", "messages")

    def __init__(self, first: int, messages: Sequence[bytes]) -> None:
        self.first = first
        self.last = first + len(messages) - 1
        self.messages = messages
        self.ends = messages[-1].startswith(END_PREFIX)
        self._frames: bytes | None = None

    @property
    def frames(self) -> bytes:
        """All of them as frames."""
        if self._frames is None:
            self._frames = b"".join(map(text_frame, self.messages))
        return self._frames

    def after(self, seq: int) -> "Batch":
        """Those that come after `seq`."""
        return self if seq < self.first else Batch(seq + 1, self.messages[seq + 1 - self.first :])


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which also takes frames that are built already."""

    async def run_asgi(self) -> None:
        """Serve the connection, with this object among its extensions."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[EXTENSION] = self
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """As uvicorn's; but a handshake that was answered with an error is complete, and not an error to log."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    @property
    def open(self) -> bool:
        """Whether something can still be sent."""
        return not (self.close_sent or self.disconnected or self.transport.is_closing())

    def write_frames(self, frames: bytes) -> int:
        """Write frames, unless the connection is closed or closing; gives how many bytes the transport still holds.

        That is a watcher's queue. This runs once for each event and watcher: it is as short as it can be.
        """
        transport = self.transport
        if self.close_sent or transport.is_closing():
            return 0
        transport.write(frames)
        return transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Wait until the transport takes more without piling it up."""
        await self.writable.wait()

    def finish(self, code: int, reason: str) -> None:
        """Close with `code`; a client that does not take the close frame in time is cut off."""
        if not self.open:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_WAIT_S, self.transport.abort)
