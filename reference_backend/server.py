"""uvicorn, with three things different.

It stops when it is told and not at a signal, it has this replica's id on every answer, and its WebSockets take frames
that are built already.

At a signal uvicorn would close all WebSockets at once and tell the application last. A replica has to stop its gadgets
and give up its sessions first.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate

import uvicorn
from starlette.types import ASGIApp

from reference_backend.frames import FrameProtocol
from reference_backend.settings import Settings

INSTANCE_HEADER = "X-Backend-Instance"
BACKLOG = 2048
CLOSE_WAIT_S = 2


class Server(uvicorn.Server):
    """One HTTP server; `serve` ends after `stop`. `listening` is set once connections are taken."""

    def __init__(self, app: ASGIApp, instance: str, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http="httptools",
                ws=FrameProtocol,
                ws_max_size=settings.frame_bytes,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                headers=[(INSTANCE_HEADER, instance)],
                backlog=BACKLOG,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=CLOSE_WAIT_S,
            )
        )
        self._stop = asyncio.Event()
        self.listening = asyncio.Event()

    def listen(self) -> socket.socket:
        """Take the port, so that the address is known before anybody is told. Raises OSError."""
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.config.host, self.config.port))
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)  # noqa: FBT003 - the standard library's
        return listener

    def stop(self) -> None:
        """Close what is open and let `serve` return."""
        self._stop.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: signals are the replica's business."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Have the headers ready before the first request."""
        self._renew_headers()
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Wait for `stop`; renew the date once a second."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stop.wait()
            self._renew_headers()

    def _renew_headers(self) -> None:
        date = (b"date", formatdate(time.time(), usegmt=True).encode())
        self.server_state.default_headers = [date, *self.config.encoded_headers]
