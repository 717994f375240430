"""A watcher of one session's stream over WebSocket; every message is recorded as it arrives."""

import asyncio
import contextlib
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from limpet.clock import now_ns
from limpet.contract import Contract
from limpet.errors import ClientError, RefusedError
from limpet.history import History, Line, Recorder

OPEN_TIMEOUT_S = 10.0
FRAME_BYTES_MAX = 4 << 20


class Watcher:
    """One WebSocket. `connect`, then messages are recorded until it ends; `close` ends it from this side.

    History: the operation `connect` (ok: `pod` is the replica that the 101 names; fail: the status and text of the
    refusal), lines `message` (op is the message's type, value its sequence number, data.n the source's count) and one
    line `closed` (data.code), all with the process number of the connect. With `whole`, data.payload is what the
    message carries.
    """

    def __init__(
        self, contract: Contract, history: History, base_url: str, *, cookie: str | None = None, whole: bool = False
    ) -> None:
        if contract.websocket is None:
            raise ClientError("the contract has no [websocket]")
        self._contract = contract
        self._stream = contract.websocket
        self._history = history
        self._url = "ws" + base_url.removeprefix("http")
        self._cookie = cookie
        self._whole = whole
        self._recorder = Recorder(history)
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self.pod = ""
        self.count = 0  # messages so far
        self.events = 0  # those of them that are events

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, session: str) -> bool:
        """Open the stream; whether it was opened."""
        ingress = self._contract.ingress
        headers = {"Cookie": f"{ingress.cookie}={self._cookie}"} if ingress and self._cookie else {}
        process = self._recorder.process
        async with self._recorder.operation("connect", session) as done:
            try:
                self._socket = await connect(
                    self._url + self._stream.path.format(id=session),
                    additional_headers=headers,
                    open_timeout=OPEN_TIMEOUT_S,
                    max_size=FRAME_BYTES_MAX,
                    ping_interval=None,
                    compression=None,
                    proxy=None,
                )
            except InvalidStatus as error:
                text = error.response.body.decode(errors="replace")[:200] if error.response.body else ""
                done.refused(status=error.response.status_code, text=text)
                return False
            except (OSError, TimeoutError, InvalidHandshake) as error:
                raise RefusedError(f"{type(error).__name__}: {error}") from error
            except WebSocketException as error:
                raise ClientError(f"{type(error).__name__}: {error}") from error
            answer = self._socket.response
            header = self._contract.http.instance_header
            self.pod = answer.headers.get(header, "") if answer and header else ""
            done.ok(session=session, pod=self.pod)
        if self._socket is None:
            return False
        self._reading = asyncio.create_task(self._read(self._socket, session, process))
        return True

    async def close(self) -> None:
        """End the stream and wait until its end is recorded."""
        if self._socket is not None:
            await self._socket.close()
        await self.ended()

    async def ended(self) -> None:
        """Wait until the stream has ended."""
        if self._reading is not None:
            await self._reading

    @property
    def open(self) -> bool:
        """Whether the stream is open."""
        return self._reading is not None and not self._reading.done()

    async def _read(self, socket: ClientConnection, session: str, process: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in socket:
                self.count += 1
                line = self._line(frame, session, process)
                self.events += line.op == "event"
                self._history.write(line)
        data = {"code": socket.close_code, "reason": socket.close_reason}
        self._history.write(Line(now_ns(), "closed", "", process, session, pod=self.pod, data=data))

    def _line(self, frame: str | bytes, session: str, process: int) -> Line:
        t = now_ns()
        try:
            message = json.loads(frame)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return Line(t, "message", "unreadable", process, session, pod=self.pod, data={"frame": str(frame[:200])})
        kind = message.get("type")
        data = {
            k: message[k] for k in ("stream", "recovered", "from", "to", "since", "until", "reason") if k in message
        }
        count = _at(message, self._stream.source_counter)
        if count is not None:
            data["n"] = count
        if self._whole:
            data["payload"] = message.get("data")
        seq = _at(message, self._stream.seq)
        # where messages carry no type, each is an event
        return Line(t, "message", kind if isinstance(kind, str) else "event", process, session, seq, self.pod, data)


def _at(message: Any, path: str | None) -> Any:
    """The value at a dotted path, None when it is not there."""
    for key in path.split(".") if path else ():
        message = message.get(key) if isinstance(message, dict) else None
    return message if path else None
