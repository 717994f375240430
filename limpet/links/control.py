"""The harness's side of the relay: opens, sets and closes links.

A link's port listens from the moment it is taken, before the relay process is there: who connects early waits instead
of being refused. The listening sockets are then handed over to the relay.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limpet.errors import LimpetError
from limpet.links import gate
from limpet.links.link import Route
from limpet.links.switches import Switch, encode

ANSWER_S = 10.0
READ_BYTES_MAX = 1 << 16


class Links:
    """The links of one stack.

    Attributes:
        path: the Unix socket that the relay process connects to; it listens from the start.
        connected: set once the relay has connected.
        told: called with what happens at gates.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connected = asyncio.Event()
        self.told: Callable[[gate.Event], None] | None = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.setblocking(False)  # noqa: FBT003 - takes no name
        self._server.bind(str(path))
        self._server.listen(1)
        self._control: socket.socket | None = None
        self._sending = asyncio.Lock()
        self._orders = 0
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._serving = asyncio.create_task(self._serve())

    async def open(self, route: Route, listener: socket.socket) -> None:
        """Open a link on a socket that listens already, and which the caller can close after this; it passes.

        Raises:
            LimpetError: the relay process is gone, cannot do it, or does not answer.
        """
        await self._order([listener.fileno()], do="open", route=asdict(route))

    async def set(self, pod: str, dependency: str, switch: Switch) -> None:
        """Set a link; it is in force when this returns. Raises LimpetError as `open`."""
        await self._order([], do="set", pod=pod, dependency=dependency, switch=encode(switch))

    async def trace(self, path: Path | None) -> None:
        """Write what passes all Redis links into this file (log.py) from now on; None: stop, and complete the file.

        Raises LimpetError as `open`.
        """
        await self._order([], do="trace", path=str(path) if path else None)

    async def admit(self, pod: str, ticket: int) -> None:
        """Let one command that stands at a pod's gate go to Redis. Raises LimpetError as `open`."""
        await self._order([], do="admit", pod=pod, ticket=ticket)

    async def close_pod(self, pod: str) -> None:
        """Close all links of a pod that is gone. Raises LimpetError as `open`."""
        await self._order([], do="close", pod=pod)

    async def close(self) -> None:
        """Let the relay process end."""
        self._serving.cancel()
        await asyncio.wait([self._serving])
        self._server.close()

    async def _order(self, handles: list[int], **order: Any) -> None:
        self._orders += 1
        number = self._orders
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.connected.wait()
                answer = self._answers[number] = asyncio.get_running_loop().create_future()
                async with self._sending:
                    await self._send(json.dumps(order | {"id": number}).encode() + b"\n", handles)
                error = await answer
        except TimeoutError:
            raise LimpetError(f"links: no answer from the relay process within {ANSWER_S:g} s to {order}") from None
        except OSError as failure:
            error = f"the relay process is gone ({failure.strerror})"
        finally:
            self._answers.pop(number, None)
        if error:
            raise LimpetError(f"links: {error}, for {order}")

    async def _send(self, data: bytes, handles: list[int]) -> None:
        if self._control is None:
            raise ConnectionResetError(104, "its connection was closed")
        sent = socket.send_fds(self._control, [data], handles)
        await asyncio.get_running_loop().sock_sendall(self._control, data[sent:])

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._control, _ = await loop.sock_accept(self._server)
        self.connected.set()
        partial = b""
        try:
            while data := await loop.sock_recv(self._control, READ_BYTES_MAX):
                *lines, partial = (partial + data).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    if "id" in said:
                        self._settle(said["id"], said["error"])
                    elif self.told:
                        self.told(gate.decode(said["event"]))
        except ConnectionResetError:
            pass  # it was killed
        finally:
            self._control.close()
            self._control = None
            for number in self._answers:
                self._settle(number, "the relay process ended")

    def _settle(self, number: int, error: str) -> None:
        waiting = self._answers.get(number)
        if waiting and not waiting.done():
            waiting.set_result(error)
