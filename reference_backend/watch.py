"""`/ws/{id}`: the live stream of a session, from any replica, and its resumption."""

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.websockets import WebSocket

from reference_backend import messages
from reference_backend.affinity import Affinity
from reference_backend.answers import error_response
from reference_backend.channels import channel_to
from reference_backend.errors import ApiError, bad_input, unavailable
from reference_backend.followed import Watcher
from reference_backend.frames import Batch
from reference_backend.inputs import UUID, integer
from reference_backend.messages import END_PREFIX
from reference_backend.redis_access import UNREACHABLE
from reference_backend.resume import Beginning, Kept, begin
from reference_backend.server import INSTANCE_HEADER
from reference_backend.streams import PAGE, Messages, Streams
from reference_backend.tail import ENDED, RESTARTING, TOO_SLOW, Tail

log = logging.getLogger(__name__)

NO_SESSION, BROKEN = 4404, 1011
STREAM_ID = re.compile(r"[0-9A-Z]{1,40}")
SEQ_MAX = 2**53
PIECE = 50
DRAIN_WAIT_S = 30.0


class Past(Protocol):
    """The history, as far as a watcher needs it. Both raise ApiError (503) when it cannot be asked."""

    async def kept(self, session_id: str, stream: str | None) -> Kept | None:
        """What is recorded of `stream`, or of the session's last one; None if nothing is."""
        ...

    async def after(self, session_id: str, stream: str, seq: int, limit: int) -> Messages:
        """The next recorded messages."""
        ...

    async def has_all(self, session_id: str, stream: str, first: int, last: int) -> bool:
        """Whether all messages from `first` to `last` are recorded."""
        ...


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a session's messages are: those from `redis_from` on in Redis, those before it in the history.

    `lacks`: some of those that were asked for are in neither.
    """

    kept: Kept
    redis_from: int
    live: bool
    lacks: bool = False


class Watch:
    """Serves WebSockets."""

    def __init__(self, streams: Streams, tail: Tail, affinity: Affinity, past: Past, instance: str) -> None:
        self._streams = streams
        self._tail = tail
        self._affinity = affinity
        self._past = past
        self._instance = instance
        self.closing = False

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from handshake to close."""
        try:
            if self.closing:
                raise unavailable("draining", "this replica is stopping")
            stream, after = _asked(websocket)
            session_id = websocket.path_params["id"].lower()
            source = await self._source(session_id, stream, after) if UUID.fullmatch(session_id) else None
        except ApiError as error:
            return await self._deny(websocket, error)
        except UNREACHABLE:
            denied = unavailable("redis_unavailable", "Redis does not answer")
            return await self._deny(websocket, denied)
        await websocket.accept()
        if source is None:
            await websocket.send_text(messages.error("not_found", "no such session").decode())
            return await websocket.close(NO_SESSION, "no such session")
        channel = channel_to(websocket)
        beginning = begin(source.kept, stream, after)
        watcher = Watcher(channel, beginning.read_after)
        if source.live:
            self._affinity.opened(session_id)
        feeding = asyncio.create_task(self._feed(session_id, source, beginning, watcher))
        try:
            while (await websocket.receive())["type"] != "websocket.disconnect":
                pass  # nothing that a client says has a meaning
        finally:
            feeding.cancel()
            self._tail.leave(session_id, watcher)
            if source.live:
                self._affinity.closed(session_id)
            channel.drop()
        return None

    async def _deny(self, websocket: WebSocket, error: ApiError) -> None:
        response = error_response(error)
        response.headers[INSTANCE_HEADER] = self._instance  # uvicorn adds its headers to every answer but this one
        await websocket.send_denial_response(response)

    async def _source(self, session_id: str, stream: str | None, after: int | None) -> _Source | None:
        kept = await self._streams.kept(session_id)
        if kept is None:
            recorded = await self._past.kept(session_id, None)
            if recorded is None:
                return None
            return await self._from_past(session_id, recorded, recorded.last + 1, begin(recorded, stream, after))
        live = not kept.ended
        if after is not None and (after + 1 < kept.first or stream not in (None, kept.stream)):
            with contextlib.suppress(ApiError):  # without the history there is a gap instead
                recorded = await self._past.kept(session_id, kept.stream)
                if recorded and recorded.stream == kept.stream and recorded.first < kept.first:
                    known = replace(kept, first=recorded.first)
                    source = await self._from_past(session_id, known, kept.first, begin(known, stream, after))
                    return replace(source, live=live)
        return _Source(kept, 1, live)

    async def _from_past(self, session_id: str, kept: Kept, redis_from: int, beginning: Beginning) -> _Source:
        whole = await self._past.has_all(session_id, kept.stream, beginning.read_after + 1, redis_from - 1)
        return _Source(kept, redis_from, live=False, lacks=not whole)

    async def _feed(self, session_id: str, source: _Source, beginning: Beginning, watcher: Watcher) -> None:
        """Say where the watcher stands, send what it has missed, and hand it over to the tail."""
        channel, kept = watcher.channel, source.kept
        try:
            if source.live:
                await self._affinity.told(session_id)
                await self._tail.follow(session_id, watcher, kept)
            recovered = beginning.recovered and not source.lacks
            opening = [messages.subscribed(session_id, kept.stream, beginning.seq, recovered=recovered)]
            if beginning.gap:
                opening.append(messages.gap(session_id, *beginning.gap))
            channel.write(Batch(0, opening))
            while not self._complete(session_id, source, watcher):
                if not await _send(session_id, watcher, await self._page(session_id, source, watcher.seq)):
                    return
            if not source.live:
                if not kept.ended:
                    lost = messages.error("lost", "Redis lost this session; there is no more of it")
                    channel.write(Batch(0, [lost]))
                channel.finish(ENDED, "session ended")
        except (ApiError, *UNREACHABLE):
            channel.finish(RESTARTING, "the stream cannot be read at present")
        except Exception:
            log.exception("Watching session %s broke", session_id)
            channel.finish(BROKEN, "internal error")

    async def _page(self, session_id: str, source: _Source, seq: int) -> Messages:
        """The next messages after `seq`, wherever they are; what is in neither place is left out."""
        stream = source.kept.stream
        if seq + 1 < source.redis_from:
            page = await self._past.after(session_id, stream, seq, PAGE)
            if page:
                return page
        page = await self._streams.after(session_id, stream, seq)
        if page and page[0][0] > seq + 1:
            with contextlib.suppress(ApiError):  # trimmed meanwhile: the history had it before
                older = await self._past.after(session_id, stream, seq, PAGE)
                return [message for message in older if message[0] < page[0][0]] or page
        return page

    def _complete(self, session_id: str, source: _Source, watcher: Watcher) -> bool:
        if source.live:
            return self._tail.go_live(session_id, watcher)
        return watcher.seq >= source.kept.last


async def _send(session_id: str, watcher: Watcher, page: Messages) -> bool:
    """Send a page at the pace at which the watcher takes it. False if that was the end of it."""
    channel = watcher.channel
    if not page:
        channel.finish(RESTARTING, "the stream cannot be read at present")
        return False
    for start in range(0, len(page), PIECE):
        piece = []
        for seq, message in page[start : start + PIECE]:
            if seq > watcher.seq + 1:
                piece.append(messages.gap(session_id, watcher.seq + 1, seq - 1))
            piece.append(message)
            watcher.seq = seq
        channel.write(Batch(0, piece))
        try:
            async with asyncio.timeout(DRAIN_WAIT_S):
                await channel.drained()
        except TimeoutError:
            channel.finish(TOO_SLOW, "reader too slow")
            return False
    if page[-1][1].startswith(END_PREFIX):
        channel.finish(ENDED, "session ended")
        return False
    return True


def _asked(websocket: WebSocket) -> tuple[str | None, int | None]:
    query = websocket.query_params
    stream = query.get("stream")
    if stream is not None and not STREAM_ID.fullmatch(stream):
        raise bad_input("stream", "`stream` must be an id as a `subscribed` message gave it")
    return stream, integer(query, "after", least=0, most=SEQ_MAX)
