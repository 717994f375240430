"""The ASGI application: routes, and what every answer has in common."""

import asyncio
import time
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send

from reference_backend import peer_links
from reference_backend.answers import error_response
from reference_backend.errors import ApiError, unavailable
from reference_backend.redis_access import RedisError
from reference_backend.watch import Watch

NOT_FROM_CLIENTS = ("/health", "/ready", "/metrics", "/internal/")


class App:
    """Starlette's application, which also knows how many requests are under way."""

    def __init__(self, routes: Sequence[BaseRoute], watch: Watch) -> None:
        self._starlette = Starlette(
            routes=[*routes, WebSocketRoute("/ws/{id}", watch.serve)],
            exception_handlers={
                ApiError: _refused,
                HTTPException: _no_route,
                RedisError: _redis_away,
                OSError: _redis_away,
                Exception: _broken,
            },
        )
        self.under_way = 0
        self._arrived_s = 0.0
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if not scope["path"].startswith(NOT_FROM_CLIENTS):
            self._arrived_s = time.monotonic()
        if scope["type"] != "http" or scope["path"] == peer_links.PATH:
            return await self._starlette(scope, receive, send)
        self.under_way += 1
        self._none_under_way.clear()
        try:
            await self._starlette(scope, receive, send)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self._none_under_way.set()
        return None

    async def quiet(self, since_s: float) -> None:
        """Wait until no request is under way and for `since_s` none has come from a client."""
        while True:
            await self._none_under_way.wait()
            left_s = self._arrived_s + since_s - time.monotonic()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _no_route(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    answer = error_response(ApiError(error.status_code, code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _redis_away(_request: Request, error: Exception) -> Response:
    return error_response(unavailable("redis_unavailable", f"Redis does not answer: {error or type(error).__name__}"))


async def _broken(_request: Request, _error: Exception) -> Response:
    return error_response(ApiError(500, "internal", "this is a defect of the backend; its log says more"))
