"""A watcher of one session's stream over WebSocket; every message is recorded as it arrives."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from limpet.clock import now_ns, sleep
from limpet.contract import Contract
from limpet.errors import ClientError, RefusedError
from limpet.history import History, Line, Recorder

OPEN_TIMEOUT_S = 10.0
FRAME_BYTES_MAX = 4 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a stream: after the message with this number. `stream` "" is the present one."""

    after: int
    stream: str = ""


class Watcher:
    """One WebSocket. `connect`, then messages are recorded until it ends; `close` ends it from this side.

    History: the operation `connect` (value: `watcher`, the same for all connections of this one, and the place that was
    asked for; ok: `pod` is the replica that the 101 names; fail: the status and text of the refusal), lines `message`
    (op is the message's type, value its sequence number, data.n the source's count, data.of the session that it names
    if that is another) and one line `closed` (data.code, data.own: this side ended it), all with the process number of
    the connect. With `whole`, data.payload is what the message carries and data.digest a hash of all of it, whatever
    the order of its keys.

    Attributes:
        pod: the replica that serves it.
        count: messages so far, over all connections.
        events: those of them that are events.
        stream: the stream that it was told, "" before.
        seq: the number up to which it has everything, or was told that it is lost; None before it was told any.
        over: whether it got the end of the session.
        code: how the other side closed the last connection, None where it did not.
        pace_s: how long it takes over each message; a slow reader.
    """

    def __init__(
        self, contract: Contract, history: History, base_url: str, *, cookie: str | None = None, whole: bool = False
    ) -> None:
        if contract.websocket is None:
            raise ClientError("the contract has no [websocket]")
        self._contract = contract
        self._stream = contract.websocket
        self._history = history
        self._whole = whole
        self._recorder = Recorder(history)
        self._number = self._recorder.process
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._own = False
        self.move(base_url, cookie)
        self.pod = ""
        self.count = 0
        self.events = 0
        self.stream = ""
        self.seq: int | None = None
        self.over = False
        self.code: int | None = None
        self.pace_s = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def move(self, base_url: str, cookie: str | None) -> None:
        """From now on connect there."""
        self._url = "ws" + base_url.removeprefix("http")
        self._cookie = cookie

    @property
    def place(self) -> Place | None:
        """Where it stands: where to go on after the connection has ended."""
        return None if self.seq is None else Place(self.seq, self.stream)

    async def connect(self, session: str, place: Place | None = None) -> bool:
        """Open the stream, from now on or from `place` where the contract has resumption; whether it was opened."""
        ingress = self._contract.ingress
        headers = {"Cookie": f"{ingress.cookie}={self._cookie}"} if ingress and self._cookie else {}
        query, asked = self._asked(place)
        process = self._recorder.process
        self._socket, self._own, self.code = None, False, None
        async with self._recorder.operation("connect", session, {"watcher": self._number} | asked) as done:
            try:
                self._socket = await connect(
                    self._url + self._stream.path.format(id=session) + query,
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

    def _asked(self, place: Place | None) -> tuple[str, dict[str, Any]]:
        """The query by which the contract resumes at this place, and what it says."""
        names = self._stream.resume or {}
        if place is None or "after" not in names:
            return "", {}
        asked: dict[str, Any] = {"after": place.after}
        if place.stream and "stream" in names:
            asked["stream"] = place.stream
        mark = "&" if "?" in self._stream.path else "?"
        return mark + urlencode({names[key]: value for key, value in asked.items()}), asked

    async def close(self) -> None:
        """End the stream and wait until its end is recorded."""
        if self._socket is not None:
            self._own = self._own or self.open
            await self._socket.close()
        await self.ended()

    async def ended(self) -> None:
        """Wait until the stream has ended."""
        if self._reading is not None:
            await asyncio.shield(self._reading)  # it goes on for whoever else waits, and writes how it ended

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
                self._stand(line)
                if self.pace_s:
                    await sleep(self.pace_s)
        self.code = None if self._own else socket.close_code
        data = {"code": socket.close_code, "reason": socket.close_reason} | ({"own": True} if self._own else {})
        self._history.write(Line(now_ns(), "closed", "", process, session, pod=self.pod, data=data))

    def _stand(self, line: Line) -> None:
        """Take note of where this message leaves the watcher."""
        if line.op == "subscribed":
            self.stream = str(line.data.get("stream") or "")
        seq = line.data.get("to") if line.op == "gap" else line.value
        if isinstance(seq, int) and line.op != "error":
            self.seq = seq
        self.over = self.over or line.op == "session_ended"

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
        if message.get("sessionId", session) != session:
            data["of"] = message["sessionId"]
        if self._whole:
            data["payload"] = message.get("data")
            data["digest"] = blake2b(json.dumps(message, sort_keys=True).encode(), digest_size=8).hexdigest()
        seq = _at(message, self._stream.seq)
        # where messages carry no type, each is an event
        return Line(t, "message", kind if isinstance(kind, str) else "event", process, session, seq, self.pod, data)


def _at(message: Any, path: str | None) -> Any:
    """The value at a dotted path, None when it is not there."""
    for key in path.split(".") if path else ():
        message = message.get(key) if isinstance(message, dict) else None
    return message if path else None
