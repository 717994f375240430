"""Reading a session's stream from Redis: what is kept of it, and stretches of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from reference_backend import keys
from reference_backend.messages import END_PREFIX
from reference_backend.resume import Kept

PAGE = 500

Messages = list[tuple[int, bytes]]
"""`seq` and text of each."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a stream around one number: the `stream`, None if it is gone; the message with that number.

    `first` and `last` as in `Kept`, 0 if none is kept.
    """

    stream: str | None
    message: bytes | None
    first: int
    last: int


class Streams:
    """The streams of all sessions."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def kept(self, session_id: str) -> Kept | None:
        """What there is of a session's stream; None if Redis does not know the session."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(keys.stream(session_id))
            pipe.xrange(keys.events(session_id), count=1)
            pipe.xrevrange(keys.events(session_id), count=1)
            stream, oldest, newest = await pipe.execute()
        if stream is None:
            return None
        if not newest:
            return Kept(stream.decode(), 1, 0, ended=False)
        ended = newest[0][1][b"message"].startswith(END_PREFIX)
        return Kept(stream.decode(), seq_of(oldest[0][0]), seq_of(newest[0][0]), ended)

    async def after(self, session_id: str, stream: str, seq: int, count: int = PAGE) -> Messages:
        """The next messages of one stream after `seq`, at most `count`; none if another stream has begun."""
        ((now, page),) = await self.after_all([(session_id, seq)], count)
        return page if now == stream else []

    async def after_all(self, positions: Sequence[tuple[str, int]], count: int) -> list[tuple[str | None, Messages]]:
        """The same for many sessions in one round trip, each with its stream's id."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.mget([keys.stream(session_id) for session_id, _ in positions])
            for session_id, seq in positions:
                pipe.xrange(keys.events(session_id), min=f"({seq}-0", count=count)
            streams, *pages = await pipe.execute()
        return [(stream and stream.decode(), messages_of(page)) for stream, page in zip(streams, pages, strict=True)]

    async def former(self, session_id: str, stream: str, seq: int, count: int = PAGE) -> Messages:
        """The next messages of a stream that another one has replaced."""
        entries: Any = await self._redis.xrange(keys.former_events(session_id, stream), min=f"({seq}-0", count=count)
        return messages_of(entries)


async def find_all(redis: Redis, positions: Sequence[tuple[str, int]]) -> list[Found]:
    """What there is around these numbers of these sessions' streams."""
    if not positions:
        return []
    async with redis.pipeline(transaction=True) as pipe:
        for session_id, seq in positions:
            events = keys.events(session_id)
            pipe.get(keys.stream(session_id))
            pipe.xrange(events, min=f"{seq}-0", max=f"{seq}-0")
            pipe.xrange(events, count=1)
            pipe.xrevrange(events, count=1)
        answers: Any = await pipe.execute()
    rows = zip(*(answers[n::4] for n in range(4)), strict=True)
    return [
        Found(
            stream and stream.decode(),
            here[0][1][b"message"] if here else None,
            seq_of(oldest[0][0]) if oldest else 0,
            seq_of(newest[0][0]) if newest else 0,
        )
        for stream, here, oldest, newest in rows
    ]


def messages_of(entries: Any) -> Messages:
    """The messages that entries hold."""
    return [(seq_of(entry_id), fields[b"message"]) for entry_id, fields in entries]


def seq_of(entry_id: bytes) -> int:
    """The `seq` that an entry's id is."""
    return int(entry_id[: entry_id.index(b"-")])
