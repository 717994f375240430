"""Gathers what causes are looked for in: the state of the system, and what new clients experience.

Only reading, unless the user allows to start sessions: each of those is watched and stopped again.
"""

import asyncio
from typing import Any

import httpx
from redis.exceptions import RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from limpet.contract import Contract, WebSocket
from limpet.doctor.base import Seen, Trial, Visit
from limpet.status import in_redis
from limpet.status.at_ingress import WITHIN_S, said
from limpet.status.look import Status, look
from limpet.status.place import Place

CLIENTS = 3
VISITS = 6  # of each; one request in two would have to move by chance to look the same 15 times
TRIALS = 4
REFUSAL_S = 0.5  # a backend may open a stream first and say in its first message that it is not the right one
TEXT_MAX = 200
OPENED = 101


async def gather(place: Place, *, try_session: bool) -> Seen:
    """Look at everything. Raises LimpetError when nothing of the system answers."""
    status = await look(place)
    if status.ingress is None or status.ingress.status == 0:
        return Seen(status)
    clients = await asyncio.gather(*(_visits(place) for _ in range(CLIENTS)))
    trials = await _trials(place) if try_session else ()
    return Seen(status, tuple(clients), trials)


async def again(seen: Seen) -> Seen:
    """A second look at what may have been of the moment; clients are not asked again."""
    status: Status = await look(seen.status.place)
    return Seen(status, seen.clients, seen.trials)


class _Client:
    """One browser-like client, but one that sends every cookie back whatever its attributes say."""

    def __init__(self, http: httpx.AsyncClient, contract: Contract) -> None:
        self.cookies: dict[str, str] = {}
        self._http = http
        self._contract = contract

    @property
    def header(self) -> dict[str, str]:
        """What it sends back."""
        return {"Cookie": "; ".join(f"{key}={value}" for key, value in self.cookies.items())} if self.cookies else {}

    async def call(self, method: str, path: str, body: Any = None) -> tuple[httpx.Response, Visit]:
        """One request, and what it was answered. Raises httpx.HTTPError."""
        self._http.cookies.clear()
        reply = await self._http.request(method, path, json=body, headers=self.header)
        wanted = self._contract.ingress.cookie if self._contract.ingress else ""
        lines = reply.headers.get_list("set-cookie")
        names = [line.partition("=")[0].strip() for line in lines]
        self.cookies |= {
            name: line.partition(";")[0].partition("=")[2] for name, line in zip(names, lines, strict=True)
        }
        header = self._contract.http.instance_header
        visit = Visit(
            reply.status_code,
            reply.headers.get(header, "") if header else "",
            next((line for name, line in zip(names, lines, strict=True) if name == wanted), ""),
            tuple(name for name in names if name != wanted),
        )
        return reply, visit


async def _visits(place: Place) -> tuple[Visit, ...]:
    call = place.contract.http.list
    seen: list[Visit] = []
    async with httpx.AsyncClient(base_url=place.base_url, timeout=WITHIN_S, trust_env=False) as http:
        client = _Client(http, place.contract)
        for _ in range(VISITS):
            try:
                seen.append((await client.call(call.method, call.path))[1])
            except httpx.HTTPError as error:
                seen.append(Visit(0, error=said(error)))
    return tuple(seen)


async def _trials(place: Place) -> tuple[Trial, ...]:
    async with httpx.AsyncClient(base_url=place.base_url, timeout=WITHIN_S, trust_env=False) as http:
        client = _Client(http, place.contract)
        return tuple([await _trial(place, client) for _ in range(TRIALS)])


async def _trial(place: Place, client: _Client) -> Trial:
    calls = place.contract.http
    try:
        reply, visit = await client.call(calls.create.method, calls.create.path, dict(calls.body))
        body = reply.json() if reply.is_success else None
    except (httpx.HTTPError, ValueError) as error:
        return Trial(0, text=said(error))
    id_ = body.get(calls.id) if isinstance(body, dict) else None
    if not isinstance(id_, str):
        return Trial(
            reply.status_code if not reply.is_success else 0, text=f"no {calls.id!r} in {reply.text[:TEXT_MAX]!r}"
        )
    try:
        owner = visit.instance or await _owner(place, id_)
        watched, text = await _watched(place, client, id_)
    finally:
        try:
            await client.call(calls.delete.method, calls.delete.url(id=id_))
        except httpx.HTTPError as error:
            text = f"session {id_} could not be stopped again: {said(error)}"
    return Trial(reply.status_code, owner, watched, text)


async def _owner(place: Place, session: str) -> str:
    """The instance whose set has the session, "" when none has or nobody tells."""
    pattern = place.contract.redis.owned
    if pattern is None or not place.redis_url:
        return ""
    async with in_redis.client(place.redis_url) as redis:
        try:
            keys = (await in_redis.look(redis, place.contract)).keys
        except (RedisError, OSError):
            return ""
    return next((instance for instance, ids in keys.owned.items() if session in ids), "")


async def _watched(place: Place, client: _Client, session: str) -> tuple[int, str]:
    """The status of the handshake of the session's WebSocket, and what a refusal says."""
    stream = place.contract.websocket
    if stream is None:
        return 0, ""
    url = "ws" + place.base_url.removeprefix("http") + stream.path.format(id=session)
    try:
        async with connect(
            url, additional_headers=client.header, proxy=None, open_timeout=WITHIN_S, close_timeout=REFUSAL_S
        ) as socket:
            return OPENED, await _refusal(socket, stream)
    except InvalidStatus as error:
        body = (error.response.body or b"").decode(errors="replace")
        return error.response.status_code, body[:TEXT_MAX]
    except (OSError, TimeoutError, WebSocketException) as error:
        return 0, said(error)


async def _refusal(socket: ClientConnection, stream: WebSocket) -> str:
    """The message that says that this is the wrong replica, "" when none comes in REFUSAL_S seconds."""
    wrong = stream.wrong_instance_text
    try:
        async with asyncio.timeout(REFUSAL_S):
            async for frame in socket:
                text = frame if isinstance(frame, str) else frame.decode(errors="replace")
                if wrong and wrong in text:
                    return text[:TEXT_MAX]
    except (TimeoutError, ConnectionClosed):
        return ""
    return ""
