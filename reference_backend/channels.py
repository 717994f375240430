"""The way to one watcher: frames written straight to its connection, or single messages where that is not offered."""

import asyncio
from collections import deque
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from reference_backend.frames import EXTENSION, Batch, FrameProtocol


class Channel(Protocol):
    """One open connection to a watcher."""

    def write(self, batch: Batch) -> int:
        """Send messages, in order, sometime; nothing once the connection is closed. Gives how many bytes wait."""
        ...

    async def drained(self) -> None:
        """Wait until little waits to be sent, or the connection is closed."""
        ...

    def finish(self, code: int, reason: str) -> None:
        """Close after what was written."""
        ...

    def drop(self) -> None:
        """The connection is gone; free what belongs to it."""
        ...


class FrameChannel:
    """Over a `FrameProtocol`; its transport's buffer is the queue."""

    def __init__(self, protocol: FrameProtocol) -> None:
        self._protocol = protocol

    def write(self, batch: Batch) -> int:
        """As `Channel.write`."""
        return self._protocol.write_frames(batch.frames)

    async def drained(self) -> None:
        """As `Channel.drained`."""
        await self._protocol.drained()

    def finish(self, code: int, reason: str) -> None:
        """As `Channel.finish`."""
        self._protocol.finish(code, reason)

    def drop(self) -> None:
        """As `Channel.drop`."""


class MessageChannel:
    """Over any ASGI server: a queue, and a task that sends from it."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._queue: deque[bytes] = deque()
        self._unsent = 0
        self._close: tuple[int, str] | None = None
        self._some = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task = asyncio.create_task(self._run())

    def write(self, batch: Batch) -> int:
        """As `Channel.write`."""
        if self._close is None and not self._task.done():
            self._queue.extend(batch.messages)
            self._unsent += sum(map(len, batch.messages))
            self._empty.clear()
            self._some.set()
        return self._unsent

    async def drained(self) -> None:
        """As `Channel.drained`."""
        await self._empty.wait()

    def finish(self, code: int, reason: str) -> None:
        """As `Channel.finish`."""
        self._close = self._close or (code, reason)
        self._some.set()

    def drop(self) -> None:
        """As `Channel.drop`."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                while self._queue:
                    message = self._queue.popleft()
                    await self._websocket.send_text(message.decode())
                    self._unsent -= len(message)
                self._empty.set()
                if self._close:
                    await self._websocket.close(*self._close)
                    return
                await self._some.wait()
                self._some.clear()
        except (WebSocketDisconnect, RuntimeError):
            pass  # closed by the other side
        finally:
            self._empty.set()


def channel_to(websocket: WebSocket) -> Channel:
    """The cheapest way to this watcher."""
    protocol = websocket.scope.get("extensions", {}).get(EXTENSION)
    return FrameChannel(protocol) if isinstance(protocol, FrameProtocol) else MessageChannel(websocket)
