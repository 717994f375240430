"""The calls on sessions."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_backend import inputs
from reference_backend.answers import array_response, session_response
from reference_backend.errors import no_session
from reference_backend.lifecycle import Lifecycle
from reference_backend.migration import Migration
from reference_backend.settings import Settings
from reference_backend.stopping import Stopping
from reference_backend.store import Store

LIMIT_MAX = 10_000
CURSOR_HEADER = "X-Next-Cursor"


class SessionCalls:
    """`/api/sessions`, and what peers ask for."""

    def __init__(
        self, store: Store, lifecycle: Lifecycle, stopping: Stopping, settings: Settings, *, migration: Migration
    ) -> None:
        self._store = store
        self._migration = migration
        self._lifecycle = lifecycle
        self._stopping = stopping
        self._settings = settings

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/api/sessions", self.list, methods=["GET"]),
            Route("/api/sessions", self.create, methods=["POST"]),
            Route("/api/sessions/{id}", self.read, methods=["GET"]),
            Route("/api/sessions/{id}", self.update, methods=["PATCH"]),
            Route("/api/sessions/{id}", self.delete, methods=["DELETE"]),
            Route("/api/sessions/{id}/migrate", self.migrate, methods=["POST"]),
            Route("/internal/sessions/{id}/stop", self.stop, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Pages follow the order of ids, so that one that is there all the time is on exactly one page."""
        limit = inputs.integer(request.query_params, "limit", least=1, most=LIMIT_MAX)
        after: tuple[str] | None = inputs.read_cursor(request.query_params, tuple[str])
        ids = await self._store.ids()
        if after:
            ids = [i for i in ids if i > after[0]]
        page = ids if limit is None else ids[:limit]
        headers = {CURSOR_HEADER: inputs.write_cursor(page[-1])} if len(page) < len(ids) else {}
        return array_response([stored.shown async for stored in self._store.records(page)], headers)

    async def create(self, request: Request) -> Response:
        """201, also when the same key made it before."""
        key = inputs.idempotency_key(request)
        wanted = await inputs.wanted_session(request, self._settings)
        stored, new = await self._lifecycle.create(wanted, key)
        headers = {"Location": f"/api/sessions/{stored.session.id}"} | ({} if new else {"Idempotency-Replayed": "true"})
        return session_response(stored, 201, headers)

    async def read(self, request: Request) -> Response:
        """The session."""
        session_id = inputs.session_id_of(request)
        stored = await self._store.read(session_id)
        if stored is None:
            raise no_session(session_id)
        return session_response(stored)

    async def update(self, request: Request) -> Response:
        """The updated session."""
        session_id, revision = inputs.session_id_of(request), inputs.if_match(request)
        labels = await inputs.new_labels(request, self._settings)
        return session_response(await self._lifecycle.update(session_id, labels, revision))

    async def delete(self, request: Request) -> Response:
        """204 once nothing of it goes on."""
        await self._lifecycle.delete(inputs.session_id_of(request))
        return Response(status_code=204)

    async def migrate(self, request: Request) -> Response:
        """The session, at the replica that was named."""
        session_id = inputs.session_id_of(request)
        to = await inputs.target_instance(request, self._settings)
        return session_response(await self._migration.migrate(session_id, to))

    async def stop(self, request: Request) -> Response:
        """A peer that holds the session's lock wants its gadget stopped."""
        session_id = inputs.session_id_of(request)
        await self._stopping.stop_for_peer(session_id, await inputs.lock_token(request, self._settings))
        return Response(status_code=204)
