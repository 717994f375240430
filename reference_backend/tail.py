"""Follows the streams that somebody here watches: one blocking read for all of them, on a connection of its own.

A session that gains its first watcher must join the read at once, and a read that blocks does not take new streams. So
the read includes a control stream of this replica; an entry there ends it. While many streams are followed, reads are
spaced out a little, so that a read brings what many sessions appended meanwhile.

When another stream of a session begins, its watchers are told so and get it from the beginning. That is said on the
control stream, and found out whenever the connection was lost and Redis may be another one.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

from redis.asyncio import Redis

from reference_backend import keys, messages
from reference_backend.followed import Followed, Watcher
from reference_backend.frames import Batch
from reference_backend.redis_access import command
from reference_backend.resume import Kept
from reference_backend.settings import Settings
from reference_backend.streams import find_all, seq_of

log = logging.getLogger(__name__)

BLOCK_S = 10
SHORT_S = 0.2  # between two looks at streams that are shorter than they were
COUNT = 500
LOOKS_AT_ONCE = 500
CONTROL_LENGTH = 1000
SPACE_S_PER_STREAM = 10e-6
SPACE_S_MAX = 0.02

ENDED, RESTARTING, TOO_SLOW = 1000, 1012, 4408


class Tail:
    """All streams followed here. `run` reads them and must be running.

    Attributes:
        on_reconnected: called when a connection is there again: Redis was away, and may have lost something.
    """

    def __init__(self, redis: Redis, blocking: Redis, instance: str, settings: Settings) -> None:
        self._redis = redis
        self._blocking = blocking
        self._control = keys.control(instance)
        self._control_id = b"0-0"
        self._buffer_bytes = settings.watcher_buffer_bytes
        self._control_ttl_ms = int(settings.heartbeat_ttl_s * 1000)
        self._followed: dict[str, Followed] = {}
        self._joined: set[str] = set()
        self._doubted: set[str] = set()
        self._short: set[str] = set()
        self._was_connected = False
        self.on_reconnected: Callable[[], None] = lambda: None
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

    async def follow(self, session_id: str, watcher: Watcher, kept: Kept) -> None:
        """Add a watcher of a session of whose stream this is kept. It is fed when it says that it is live."""
        followed = self._followed.setdefault(session_id, Followed(kept.stream, kept.last))
        followed.watchers[watcher] = None
        watcher.stream = kept.stream
        joins = session_id not in self._joined
        self._joined.add(session_id)
        if kept.stream != followed.stream or kept.last < followed.seq:
            self._doubted.add(session_id)
        if joins or session_id in self._doubted:
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
        watcher.live = followed is None or (watcher.stream == followed.stream and watcher.seq >= followed.seq)
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
                _come_back(watcher, "replica restarting")

    async def run(self) -> None:
        """Read for ever. Raises what the connection raises; to be called again then, and goes on where it stood."""
        self._joined = set(self._followed)
        self._doubted = set(self._followed)
        self._control_id = b"0-0"
        await command(self._blocking, "PING")
        if self._was_connected:
            self.on_reconnected()
        self._was_connected = True
        while True:
            while self._doubted:
                await self._look()
            ids: list[Any] = [self._control_id, *(f"{f.seq}-0" for f in self._followed.values())]
            names = [self._control, *map(keys.events, self._followed)]
            sessions = dict(zip(names[1:], self._followed, strict=True))
            block_ms = int((SHORT_S if self._short else BLOCK_S) * 1000)
            streams = await command(self._blocking, "XREAD", "COUNT", COUNT, "BLOCK", block_ms, "STREAMS", *names, *ids)
            for name, entries in streams or ():
                session_id = sessions.get(name.decode())
                if session_id is None:
                    self._told(entries)
                elif session_id not in self._doubted:
                    self._read(session_id, entries)
            self._doubted |= self._short
            await asyncio.sleep(min(SPACE_S_MAX, len(sessions) * SPACE_S_PER_STREAM))

    def _told(self, entries: list[Any]) -> None:
        """What came on the control stream. It comes before anything of another stream does: one step wrote both."""
        self._control_id = entries[-1][0]
        self._doubted |= {i for _, fields in entries if (i := fields.get(b"changed", b"").decode()) in self._followed}

    async def _look(self) -> None:
        """Compare what was read of those streams that are in doubt with what Redis has."""
        ids = list(islice(self._doubted, LOOKS_AT_ONCE))
        self._doubted.difference_update(ids)
        self._short.difference_update(ids)
        doubted = [(i, self._followed[i]) for i in ids if i in self._followed]
        found = await find_all(self._blocking, [(i, followed.seq) for i, followed in doubted])
        for (session_id, followed), here in zip(doubted, found, strict=True):
            if self._followed.get(session_id) is not followed:
                continue
            judgement = followed.judge(here)
            if judgement == "lost":
                self._short.add(session_id)
            elif here.stream is None:
                for watcher in list(followed.watchers):
                    _come_back(watcher, "the stream is gone")
            elif judgement == "other":
                self._begin_anew(session_id, followed, here.stream)

    def _begin_anew(self, session_id: str, followed: Followed, stream: str) -> None:
        """Tell the watchers where they stand: at the beginning of what there is now."""
        log.warning("Session %s: another stream than was read up to %d; watchers are told", session_id, followed.seq)
        again = followed.stream == stream
        followed.begin(stream, 0)
        for watcher in list(followed.watchers):
            if watcher.live:
                watcher.stream, watcher.seq = stream, 0
                watcher.channel.write(Batch(0, [messages.subscribed(session_id, stream, 0, recovered=False)]))
            elif again or watcher.stream != stream:
                _come_back(watcher, "another stream has begun")

    def _read(self, session_id: str, entries: list[Any]) -> None:
        followed = self._followed.get(session_id)
        if followed is None:
            return
        first = seq_of(entries[0][0])
        if first > followed.seq + 1:
            self._announce(session_id, followed, first - 1)
        batch = Batch(first, [fields[b"message"] for _, fields in entries])
        followed.seq = batch.last
        followed.last = batch.messages[-1]
        for watcher in list(followed.watchers):
            if watcher.live:
                try:
                    self.send(watcher, batch)
                except Exception:
                    log.exception("A watcher of session %s broke", session_id)
                    watcher.live = False

    def _announce(self, session_id: str, followed: Followed, last: int) -> None:
        """More was appended than is kept, faster than it was read here; the history may have it, for who comes back."""
        for watcher in followed.watchers:
            if watcher.live and followed.seq:
                _come_back(watcher, "fell behind")
            elif watcher.live:
                watcher.channel.write(Batch(0, [messages.gap(session_id, watcher.seq + 1, last)]))
                watcher.seq = last

    async def _wake(self) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(self._control, {"joined": "1"}, maxlen=CONTROL_LENGTH)
            pipe.pexpire(self._control, self._control_ttl_ms)
            await pipe.execute()


def _come_back(watcher: Watcher, why: str) -> None:
    watcher.live = False
    watcher.channel.finish(RESTARTING, why)
