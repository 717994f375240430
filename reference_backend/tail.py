"""Follows the streams that somebody here watches: one blocking read for all of them, on a connection of its own.

A session that gains its first watcher must join the read at once, and a read that blocks does not take new streams. So
the read includes a control stream of this replica; an entry there ends it. While many streams are followed, reads are
spaced out a little, so that a read brings what many sessions appended meanwhile.
"""

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis

from reference_backend import keys, messages
from reference_backend.channels import Channel
from reference_backend.frames import Batch
from reference_backend.redis_access import command
from reference_backend.settings import Settings

log = logging.getLogger(__name__)

BLOCK_S = 10
COUNT = 500
SPACE_S_PER_STREAM = 10e-6
SPACE_S_MAX = 0.02

ENDED, RESTARTING, TOO_SLOW = 1000, 1012, 4408


class Watcher:
    """One connection that follows a session; `seq` is the last message written, `live` whether the tail feeds it."""

    __slots__ = ("channel", "live", "seq")

    def __init__(self, channel: Channel, seq: int) -> None:
        self.channel = channel
        self.seq = seq
        self.live = False


class _Followed:
    """One session that somebody here watches; `seq` is the last message that was read."""

    __slots__ = ("seq", "watchers")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.watchers: dict[Watcher, None] = {}


class Tail:
    """All streams followed here. `run` reads them and must be running."""

    def __init__(self, redis: Redis, blocking: Redis, instance: str, settings: Settings) -> None:
        self._redis = redis
        self._blocking = blocking
        self._control = keys.control(instance)
        self._control_id = b"0-0"
        self._buffer_bytes = settings.watcher_buffer_bytes
        self._control_ttl_ms = int(settings.heartbeat_ttl_s * 1000)
        self._followed: dict[str, _Followed] = {}
        self._joined: set[str] = set()
        self.delivered = 0
        self.too_slow = 0

    @property
    def watchers(self) -> int:
        """How many connections are open."""
        return sum(len(followed.watchers) for followed in self._followed.values())

    @property
    def sessions(self) -> list[str]:
        """The sessions that are watched here."""
        return list(self._followed)

    async def follow(self, session_id: str, watcher: Watcher, seq: int) -> None:
        """Add a watcher of a session whose stream stands at `seq` or later. It is fed when it says that it is live."""
        followed = self._followed.setdefault(session_id, _Followed(seq))
        followed.watchers[watcher] = None
        if session_id not in self._joined:
            self._joined.add(session_id)
            await self._wake()

    def leave(self, session_id: str, watcher: Watcher) -> bool:
        """Remove a watcher. True if it was the last one here."""
        followed = self._followed.get(session_id)
        if followed is None:
            return False
        followed.watchers.pop(watcher, None)
        if followed.watchers:
            return False
        del self._followed[session_id]
        self._joined.discard(session_id)
        return True

    def go_live(self, session_id: str, watcher: Watcher) -> bool:
        """From now on the tail feeds this watcher, if it has everything that was read so far."""
        followed = self._followed.get(session_id)
        watcher.live = followed is None or watcher.seq >= followed.seq
        return watcher.live

    def send(self, watcher: Watcher, batch: Batch) -> None:
        """Send a watcher what it does not have yet; close it if it takes too little."""
        if batch.last <= watcher.seq:
            return
        if watcher.seq < batch.first - 1:
            # Cannot be; but if it were, the watcher would lose something without knowing. It has to come back for it.
            watcher.channel.finish(RESTARTING, "out of step")
            return
        part = batch if watcher.seq < batch.first else batch.after(watcher.seq)
        unsent = watcher.channel.write(part)
        watcher.seq = batch.last
        self.delivered += len(part.messages)
        if part.ends:
            watcher.channel.finish(ENDED, "session ended")
        elif unsent > self._buffer_bytes:
            self.too_slow += 1
            watcher.live = False
            watcher.channel.finish(TOO_SLOW, "reader too slow")

    def close_all(self) -> None:
        """Close every connection: this replica stops."""
        for followed in self._followed.values():
            for watcher in followed.watchers:
                watcher.live = False
                watcher.channel.finish(RESTARTING, "replica restarting")

    async def run(self) -> None:
        """Read for ever. Raises what the connection raises; to be called again then, and goes on where it stood."""
        self._joined = set(self._followed)
        while True:
            ids: list[Any] = [self._control_id, *(f"{f.seq}-0" for f in self._followed.values())]
            names = [self._control, *map(keys.events, self._followed)]
            sessions = dict(zip(names[1:], self._followed, strict=True))
            streams = await command(
                self._blocking, "XREAD", "COUNT", COUNT, "BLOCK", BLOCK_S * 1000, "STREAMS", *names, *ids
            )
            for name, entries in streams or ():
                session_id = sessions.get(name.decode())
                if session_id is None:
                    self._control_id = entries[-1][0]
                else:
                    self._read(session_id, entries)
            await asyncio.sleep(min(SPACE_S_MAX, len(sessions) * SPACE_S_PER_STREAM))

    def _read(self, session_id: str, entries: list[Any]) -> None:
        followed = self._followed.get(session_id)
        if followed is None:
            return
        first = seq_of(entries[0][0])
        if first > followed.seq + 1:
            self._announce(session_id, followed, first - 1)
        batch = Batch(first, [fields[b"message"] for _, fields in entries])
        followed.seq = batch.last
        for watcher in list(followed.watchers):
            if watcher.live:
                try:
                    self.send(watcher, batch)
                except Exception:
                    log.exception("A watcher of session %s broke", session_id)
                    watcher.live = False

    def _announce(self, session_id: str, followed: _Followed, last: int) -> None:
        """More was appended than is kept, faster than it was read here."""
        for watcher in followed.watchers:
            if watcher.live:
                watcher.channel.write(Batch(0, [messages.gap(session_id, watcher.seq + 1, last)]))
                watcher.seq = last

    async def _wake(self) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(self._control, {"joined": "1"}, maxlen=1, approximate=False)
            pipe.pexpire(self._control, self._control_ttl_ms)
            await pipe.execute()


def seq_of(entry_id: bytes) -> int:
    """The `seq` that an entry's id is."""
    return int(entry_id[: entry_id.index(b"-")])
