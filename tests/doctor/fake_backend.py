"""An ingress and two replicas in one program, each of whose ways of being wrong is a switch.

Replicas answer on ports of their own too, as pods do.
"""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn import Config, Server

from limpet.clock import eventually

WRONG = "Session is on a different backend instance"
INSTANCES = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


@dataclass
class Switches:
    """What is wrong; by default nothing."""

    cookie: str = "backend-session"  # "" sets none
    attributes: str = "Path=/; HttpOnly; SameSite=Lax"
    drops_cookie: bool = False  # something before the ingress takes the Cookie header out
    ignores_cookie: bool = False  # something behind it balances again
    streams_elsewhere: bool = False
    headers: bool = True  # answers carry the instance header
    status: int = 200
    ready: dict[str, str] = field(default_factory=dict)  # instance -> why it is not


class QuietServer(Server):
    """A server in a test leaves signals to the test."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _itself(instance: str, _: HTTPConnection) -> str:
    return instance


async def _all_started(servers: Sequence[Server]) -> bool:
    return all(server.started for server in servers)


class Fake:
    """The program. `redis` gets the owned sets, when given."""

    def __init__(self, redis: Redis | None = None) -> None:
        self.switches = Switches()
        self.sessions: dict[str, str] = {}
        self._redis = redis
        self._turn = itertools.cycle(INSTANCES)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[str, tuple[str, ...]]]:
        """The URL of the ingress and the addresses of the replicas."""
        apps = [self._app(self._chosen), *(self._app(partial(_itself, one)) for one in INSTANCES)]
        servers = [
            QuietServer(
                Config(
                    app,
                    port=0,
                    log_level="critical",
                    ws="websockets-sansio",
                    lifespan="off",
                    timeout_graceful_shutdown=1,
                )
            )
            for app in apps
        ]
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        await eventually(lambda: _all_started(servers), within_s=10, what="the fake backend")
        ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
        try:
            yield f"http://127.0.0.1:{ports[0]}", tuple(f"127.0.0.1:{port}" for port in ports[1:])
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)

    def _chosen(self, request: HTTPConnection) -> str:
        given = None if self.switches.drops_cookie else request.cookies.get(self.switches.cookie)
        if given in INSTANCES and not self.switches.ignores_cookie:
            return given
        return next(self._turn)

    def _app(self, choose: Callable[[HTTPConnection], str]) -> Starlette:
        def answered(call: Callable[[Request, str], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
            async def answer(request: Request) -> Response:
                instance = choose(request)
                response = await call(request, instance)
                if self.switches.headers:
                    response.headers["X-Backend-Instance"] = instance
                held = None if self.switches.drops_cookie else request.cookies.get(self.switches.cookie)
                if self.switches.cookie and held not in INSTANCES:
                    response.headers["Set-Cookie"] = f"{self.switches.cookie}={instance}; {self.switches.attributes}"
                return response

            return answer

        async def watch(socket: WebSocket) -> None:
            instance = choose(socket)
            if self.switches.streams_elsewhere:
                instance = next(one for one in INSTANCES if one != instance)
            if self.sessions.get(socket.path_params["id"]) != instance:
                await socket.send_denial_response(Response(WRONG, 502))
                return
            await socket.accept()
            await socket.send_text(json.dumps({"eventType": "tcp"}))
            with contextlib.suppress(Exception):
                await socket.receive()

        return Starlette(
            routes=[
                Route("/health", answered(self._health)),
                Route("/ready", answered(self._ready)),
                Route("/api/sessions", answered(self._list), methods=["GET"]),
                Route("/api/sessions", answered(self._create), methods=["POST"]),
                Route("/api/sessions/{id}", answered(self._delete), methods=["DELETE"]),
                WebSocketRoute("/ws/{id}", watch),
            ]
        )

    async def _health(self, _: Request, instance: str) -> Response:
        return JSONResponse({"instance": instance})

    async def _ready(self, _: Request, instance: str) -> Response:
        reason = self.switches.ready.get(instance)
        return Response(reason or "ready", 503 if reason else 200)

    async def _list(self, _: Request, __: str) -> Response:
        return JSONResponse([{"id": id_} for id_ in self.sessions], self.switches.status)

    async def _create(self, _: Request, instance: str) -> Response:
        id_ = str(uuid.uuid4())
        self.sessions[id_] = instance
        if self._redis:
            await self._redis.sadd(f"backend:{instance}:sessions", id_)
        return JSONResponse({"id": id_}, 201)

    async def _delete(self, request: Request, _: str) -> Response:
        id_ = request.path_params["id"]
        owner = self.sessions.pop(id_, "")
        if self._redis and owner:
            await self._redis.srem(f"backend:{owner}:sessions", id_)
        return Response(status_code=204 if owner else 404)
