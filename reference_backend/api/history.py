"""The calls on the history."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_backend import inputs
from reference_backend.answers import array_response, json_response
from reference_backend.errors import bad_input, no_session
from reference_backend.history.reader import Cursor, Query, Reader
from reference_backend.store import Store
from reference_backend.watch import SEQ_MAX, STREAM_ID

CURSOR_HEADER = "X-Next-Cursor"
LIMIT, LIMIT_MAX = 1000, 10_000


class HistoryCalls:
    """Replay, statistics and search. Messages are given as they were streamed, with the id of their `stream` added."""

    def __init__(self, reader: Reader, store: Store) -> None:
        self._reader = reader
        self._store = store

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/api/sessions/{id}/events", self.replay, methods=["GET"]),
            Route("/api/sessions/{id}/events/stats", self.statistics, methods=["GET"]),
            Route("/api/sessions/{id}/stats", self.statistics, methods=["GET"]),
            Route("/api/events", self.search, methods=["GET"]),
        ]

    async def replay(self, request: Request) -> Response:
        """Recorded messages in order."""
        query, session_id = request.query_params, inputs.session_id_of(request)
        limit = inputs.integer(query, "limit", least=1, most=LIMIT_MAX) or LIMIT
        after = inputs.integer(query, "after", least=0, most=SEQ_MAX)
        cursor: tuple[str, int] | None = inputs.read_cursor(query, tuple[str, int])
        stream = _stream(request)
        # Without a stream, `after` is meant of the last one, which is nearly always the only one.
        if after is not None and stream is None:
            kept = await self._reader.kept(session_id, None)
            stream = kept.stream if kept else None
        place = cursor or (stream or "", after or 0)
        rows = await self._reader.replay(session_id, stream, place, limit + 1)
        if not rows and not await self._known(session_id):
            raise no_session(session_id)
        more, rows = len(rows) > limit, rows[:limit]
        headers = {CURSOR_HEADER: inputs.write_cursor(*rows[-1][:2])} if more else {}
        return array_response([_with(message, stream=s) for s, _, message in rows], headers)

    async def statistics(self, request: Request) -> Response:
        """Counts per type, first, last, and what is missing."""
        session_id = inputs.session_id_of(request)
        found = await self._reader.statistics(session_id, _stream(request))
        if not found["count"] and not await self._known(session_id):
            raise no_session(session_id)
        return json_response(found)

    async def search(self, request: Request) -> Response:
        """Events of all sessions, in order of time."""
        query = request.query_params
        wanted = inputs.text(query, "session_id")
        if wanted is not None and not inputs.UUID.fullmatch(wanted.lower()):
            raise bad_input("session_id", "`session_id` must be a session's id (UUID)")
        limit = inputs.integer(query, "limit", least=1, most=LIMIT_MAX) or LIMIT
        search = Query(
            event_type=inputs.text(query, "event_type"),
            namespace=inputs.text(query, "namespace"),
            session_id=wanted,
            start=inputs.moment(query, "start_time"),
            end=inputs.moment(query, "end_time"),
            text=inputs.text(query, "q"),
        )
        cursor: Cursor | None = inputs.read_cursor(query, Cursor)
        if cursor and not _valid(cursor):
            raise bad_input("cursor", "`cursor` must be one that an answer gave")
        rows = await self._reader.search(search, cursor, limit + 1)
        more, rows = len(rows) > limit, rows[:limit]
        headers = {}
        if more:
            at, *place = rows[-1][:4]
            headers[CURSOR_HEADER] = inputs.write_cursor(at.isoformat(), *place)
        return array_response([_with(row[4].encode(), stream=row[2], namespace=row[5]) for row in rows], headers)

    async def _known(self, session_id: str) -> bool:
        return await self._store.exists(session_id) or await self._reader.kept(session_id, None) is not None


def _stream(request: Request) -> str | None:
    stream = request.query_params.get("stream")
    if stream is not None and not STREAM_ID.fullmatch(stream):
        raise bad_input("stream", "`stream` must be an id as a `subscribed` message gave it")
    return stream


def _valid(cursor: Cursor) -> bool:
    return (
        inputs.instant(cursor[0]) is not None
        and inputs.UUID.fullmatch(cursor[1]) is not None
        and STREAM_ID.fullmatch(cursor[2]) is not None
        and 0 <= cursor[3] <= SEQ_MAX
    )


def _with(message: bytes, **more: str | None) -> bytes:
    """A message with further members."""
    return message[:-1] + b"," + msgspec.json.encode(more)[1:]
