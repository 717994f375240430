"""Reading a session's stream from Redis: what is kept of it, and stretches of it."""

from typing import Any

from redis.asyncio import Redis

from reference_backend import keys
from reference_backend.messages import END_PREFIX
from reference_backend.resume import Kept
from reference_backend.tail import seq_of

PAGE = 500


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

    async def after(self, session_id: str, seq: int, count: int = PAGE) -> list[tuple[int, bytes]]:
        """The next messages after `seq`, at most `count` of them."""
        entries: Any = await self._redis.xrange(keys.events(session_id), min=f"({seq}-0", count=count)
        return [(seq_of(entry_id), fields[b"message"]) for entry_id, fields in entries]

    async def after_all(self, positions: list[tuple[str, int]], count: int) -> list[list[tuple[int, bytes]]]:
        """The same for many sessions in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for session_id, seq in positions:
                pipe.xrange(keys.events(session_id), min=f"({seq}-0", count=count)
            pages: Any = await pipe.execute()
        return [[(seq_of(entry_id), fields[b"message"]) for entry_id, fields in page] for page in pages]
