"""The harness's side of the relay: opens, sets and closes links."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limpet.errors import LimpetError
from limpet.links.link import Route
from limpet.links.switches import Switch

ANSWER_S = 10.0


class Links:
    """The links of one stack.

    Attributes:
        path: the Unix socket that the relay process connects to.
        connected: set once it has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connected = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._orders = 0
        self._answers: dict[int, asyncio.Future[str]] = {}

    async def listen(self) -> None:
        """Wait for the relay process, which is to be started after this."""
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def open(self, route: Route) -> None:
        """Open a link; it passes. Raises LimpetError when the relay cannot, or does not answer."""
        await self._order(do="open", route=asdict(route))

    async def set(self, pod: str, dependency: str, switch: Switch) -> None:
        """Set a link; it is in force when this returns. Raises LimpetError as `open`."""
        await self._order(do="set", pod=pod, dependency=dependency, switch=switch)

    async def close_pod(self, pod: str) -> None:
        """Close all links of a pod that is gone."""
        await self._order(do="close", pod=pod)

    async def close(self) -> None:
        """Let the relay process end."""
        if self._server:
            self._server.close()
        if self._writer:
            self._writer.close()
        self._fail_waiting()

    async def _order(self, **order: Any) -> None:
        if self._writer is None or self._writer.is_closing():
            raise LimpetError("links: the relay process is not there")
        self._orders += 1
        answer = self._answers[self._orders] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(order | {"id": self._orders}).encode() + b"\n")
        try:
            async with asyncio.timeout(ANSWER_S):
                error = await answer
        except TimeoutError:
            raise LimpetError(f"links: no answer from the relay process within {ANSWER_S:g} s to {order}") from None
        if error:
            raise LimpetError(f"links: {error}, for {order}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.connected.set()
        while line := await reader.readline():
            answer = json.loads(line)
            waiting = self._answers.pop(answer["id"])
            if not waiting.done():
                waiting.set_result(answer["error"])
        writer.close()
        self._fail_waiting()

    def _fail_waiting(self) -> None:
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_result("the relay process ended")
        self._answers.clear()
