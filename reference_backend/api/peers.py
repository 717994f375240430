"""What replicas ask of each other: who is there and what it does, and to take or to give sessions."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from reference_backend import inputs, peer_links
from reference_backend.answers import json_response
from reference_backend.ownership import Ownership
from reference_backend.peer_links import Told
from reference_backend.settings import Settings

TELL_EVERY_S = 0.1


class PeerCalls:
    """`/internal/...`."""

    def __init__(self, ownership: Ownership, settings: Settings) -> None:
        self._ownership = ownership
        self._settings = settings

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route(peer_links.PATH, self.link, methods=["GET"]),
            Route("/internal/sessions/adopt", self.adopt, methods=["POST"]),
            Route("/internal/sessions/give", self.give, methods=["POST"]),
        ]

    async def link(self, request: Request) -> Response:
        """An answer that goes on for as long as this replica lives: its end is what a peer waits for."""
        self._ownership.links.called_by(request.headers.get(peer_links.FROM_HEADER, ""))
        return StreamingResponse(self._lines(), media_type="application/x-ndjson")

    async def adopt(self, request: Request) -> Response:
        """Sessions that are this replica's by their records are started; gives those that run here now."""
        ids = await inputs.session_ids(request, self._settings)
        adopted = await self._ownership.adoption.adopt(ids)
        return json_response(adopted.here)

    async def give(self, request: Request) -> Response:
        """A peer, or a client through it, wants sessions of this replica to be another's; gives those that are."""
        wanted = await inputs.gift(request, self._settings)
        ids = wanted.sessions
        if wanted.count:
            ids = self._ownership.balance.choose(wanted.count, wanted.to)
        return json_response(await self._ownership.handover.give(ids, wanted.to))

    async def _lines(self) -> AsyncIterator[bytes]:
        last: Told | None = None
        told_s = 0.0
        while last is None or not last.gone:
            now = self._ownership.told()
            if now != last or time.monotonic() - told_s > peer_links.TELL_AT_LEAST_EVERY_S:
                yield msgspec.json.encode(now) + b"\n"
                last, told_s = now, time.monotonic()
            await asyncio.sleep(TELL_EVERY_S)
