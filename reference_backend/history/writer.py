"""Writes events and session records to the history, each once, whoever is alive to do it.

The owner of a session writes its events, read from the stream after the last one that is recorded. What no owner cares
for (sessions that ended, or whose owner is dead or has no database) stands in a set in Redis, and the holder of a lease
writes it. Two writers at once would only find each other's rows there. While the database is away nothing is lost that
the streams still hold; their expiry is put off. What they do not hold any more by then is counted, and is a gap in the
history. When another stream of a session begins, the rest of the former one is written by the holder of the lease.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from datetime import datetime
from typing import Any

import msgspec
from redis.asyncio import Redis

from reference_backend import keys, scripts
from reference_backend.errors import ApiError
from reference_backend.history.database import Database
from reference_backend.history.statements import INSERT_EVENTS, LAST_WRITTEN, UPSERT_SESSIONS
from reference_backend.lease import Lease
from reference_backend.redis_access import UNREACHABLE
from reference_backend.session import decode
from reference_backend.settings import Settings
from reference_backend.streams import Messages, Streams

log = logging.getLogger(__name__)

SESSIONS_AT_ONCE = 100
ROWS_AT_ONCE = 2000
ROWS_AT_ONCE_MIN = 10
TAIL_ROUNDS = 10
RECORDS_AT_ONCE = 500
MARKS_MAX = 50_000


class _Head(msgspec.Struct):
    """What the history wants to know of a message besides its text."""

    type: str
    timestamp: str = ""
    until: str = ""
    eventType: str = ""  # noqa: N815 - names of the contract's JSON


_head = msgspec.json.Decoder(_Head)


class Writer:
    """The writer of this replica. `run` must be running; `appended` tells it what there is to do."""

    def __init__(self, redis: Redis, streams: Streams, database: Database, lease: Lease, settings: Settings) -> None:
        self._redis = redis
        self._streams = streams
        self._database = database
        self._lease = lease
        self._interval_s = settings.history_interval_s
        self._keep_s = settings.ended_keep_s
        self._dirty: dict[str, None] = {}
        self._marks: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._prolong_at = 0.0
        self.written = 0
        self.lost = 0
        self.lagging = False

    def appended(self, session_id: str) -> None:
        """This replica has appended to a session's stream."""
        if self._database.configured:
            self._dirty[session_id] = None

    async def run(self) -> None:
        """Write every interval, for ever. Raises what Redis raises; to be called again then."""
        if not self._database.configured:
            return
        while True:
            await asyncio.sleep(self._interval_s)
            await self.write()

    async def write(self) -> None:
        """Write what there is."""
        try:
            if not self._database.ready:
                await self._probe()
            dirty = list(self._dirty)
            for start in range(0, len(dirty), SESSIONS_AT_ONCE):
                await self.catch_up(dirty[start : start + SESSIONS_AT_ONCE], own=True)
            if await self._lease.take():
                await self._write_records()
                for _ in range(TAIL_ROUNDS):
                    if not await self._write_tail():
                        break
            self.lagging = False
        except ApiError as error:
            if not self.lagging:
                log.warning("History: %s; sessions and streams go on", error)
            self.lagging = True
            await self._hand_over()

    async def catch_up(self, ids: list[str], *, own: bool = False) -> dict[str, int]:
        """Write what only the streams of these sessions have yet; gives the last `seq` written of each.

        What was written of this replica's `own` sessions is remembered; for others, which others write too, the history
        is asked.

        Raises:
            ApiError: 503, the history cannot be asked.
        """
        for session_id in ids:
            if own:
                self._dirty.pop(session_id, None)
            else:
                self._marks.pop(session_id, None)
        try:
            marks = await self._marks_of(ids)
            waiting = list(marks)
            while waiting:
                count = max(ROWS_AT_ONCE_MIN, ROWS_AT_ONCE // len(waiting))
                pages = await self._pages(marks, waiting, count)
                rows = [(i, marks[i][0], seq, message) for i, page in pages.items() for seq, message in page]
                if rows:
                    await self._insert(rows)
                for i, page in pages.items():
                    if page:
                        marks[i] = marks[i][0], page[-1][0]
                        self._mark(i, marks[i])
                waiting = [i for i, page in pages.items() if len(page) == count]
        except BaseException:
            if own:
                self._dirty.update(dict.fromkeys(ids))
            raise
        return {i: seq for i, (_, seq) in marks.items()}

    async def _pages(self, marks: dict[str, tuple[str, int]], waiting: list[str], count: int) -> dict[str, Messages]:
        """The next messages of each; `marks` are set right where they were not: nobody wrote what is missing there."""
        pages = await self._after(marks, waiting, count)
        doubtful = [i for i in waiting if i not in pages or (pages[i] and pages[i][0][0] > marks[i][1] + 1)]
        if doubtful:
            for i in doubtful:
                del marks[i]
                self._marks.pop(i, None)
            marks |= await self._marks_of(doubtful)
            again = await self._after(marks, [i for i in doubtful if i in marks], count)
            pages = {i: page for i, page in pages.items() if i in marks} | again
            for i, page in again.items():
                if page and (lost := page[0][0] - marks[i][1] - 1):
                    self.lost += lost
                    log.warning("History: %d messages of session %s were gone before they could be written", lost, i)
        return pages

    async def _after(self, marks: dict[str, tuple[str, int]], ids: list[str], count: int) -> dict[str, Messages]:
        """The same of those whose stream is still the one that was marked."""
        if not ids:
            return {}
        found = await self._streams.after_all([(i, marks[i][1]) for i in ids], count)
        return {i: page for i, (stream, page) in zip(ids, found, strict=True) if stream == marks[i][0]}

    async def _probe(self) -> None:
        async with self._database.connection(probe=True) as connection:
            await connection.execute("select 1")

    async def _marks_of(self, ids: list[str]) -> dict[str, tuple[str, int]]:
        """Stream and last written `seq` of each session whose stream is there."""
        unknown = [i for i in ids if i not in self._marks]
        if unknown:
            streams: Any = await self._redis.mget([keys.stream(i) for i in unknown])
            there = {i: stream.decode() for i, stream in zip(unknown, streams, strict=True) if stream}
            async with self._database.connection() as connection:
                found = await connection.fetch(LAST_WRITTEN, list(there), list(there.values()))
            last = {row[0]: row[2] for row in found}
            for i, stream in there.items():
                self._mark(i, (stream, last.get(i, 0)))
        return {i: self._marks[i] for i in ids if i in self._marks}

    def _mark(self, session_id: str, mark: tuple[str, int]) -> None:
        self._marks[session_id] = mark
        self._marks.move_to_end(session_id)
        if len(self._marks) > MARKS_MAX:
            self._marks.popitem(last=False)

    async def _insert(self, rows: list[tuple[str, str, int, bytes]]) -> None:
        heads = [_head.decode(message) for _, _, _, message in rows]
        columns = (
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2] for row in rows],
            [datetime.fromisoformat(head.timestamp or head.until) for head in heads],
            [head.type for head in heads],
            [head.eventType for head in heads],
            [row[3].decode(errors="replace") for row in rows],
        )
        async with self._database.connection() as connection:
            await connection.execute(INSERT_EVENTS, *columns)
        self.written += len(rows)

    async def _write_records(self) -> None:
        while entries := await self._record_entries():
            newest = {}
            for _, fields in entries:
                session = decode(fields[b"record"])
                newest[session.id] = session, fields[b"record"].decode()
            rows = [
                (
                    s.id,
                    s.type,
                    s.namespace,
                    s.status,
                    datetime.fromisoformat(s.startTime),
                    datetime.fromisoformat(s.endTime) if s.endTime else None,
                    s.revision,
                    record,
                )
                for s, record in newest.values()
            ]
            async with self._database.connection() as connection:
                await connection.execute(UPSERT_SESSIONS, *map(list, zip(*rows, strict=True)))
            await self._redis.xdel(keys.HISTORY_RECORDS, *(entry_id for entry_id, _ in entries))

    async def _record_entries(self) -> list[Any]:
        entries: Any = await self._redis.xrange(keys.HISTORY_RECORDS, count=RECORDS_AT_ONCE)
        return list(entries)

    async def _write_tail(self) -> bool:
        """Write what no owner writes. True if there may be more to do at once."""
        ids: Any = await self._redis.srandmember(keys.HISTORY_TAIL, SESSIONS_AT_ONCE)
        if not ids:
            return False
        members = [i.decode() for i in ids]
        names = [i for i in members if "/" not in i]
        for member in set(members) - set(names):
            await self._write_former(member)
        written = await self.catch_up(names)
        for i in names:
            await scripts.TAIL_DONE.run(self._redis, [keys.HISTORY_TAIL, keys.events(i)], [i, written.get(i, 0)])
        return len(members) == SESSIONS_AT_ONCE

    async def _write_former(self, member: str) -> None:
        """Write what is left of a stream that another one has replaced; its last message may be a gap."""
        session_id, _, stream = member.partition("/")
        async with self._database.connection() as connection:
            found = await connection.fetch(LAST_WRITTEN, [session_id], [stream])
        seq = found[0][2] if found else 0
        while page := await self._streams.former(session_id, stream, seq):
            await self._insert([(session_id, stream, number, message) for number, message in page])
            seq = page[-1][0]
        await self._redis.delete(keys.former_events(session_id, stream))
        await self._redis.srem(keys.HISTORY_TAIL, member)

    async def _hand_over(self) -> None:
        """The database is away from here: let others write, and keep streams from expiring meanwhile."""
        try:
            if self._dirty:
                await self._redis.sadd(keys.HISTORY_TAIL, *self._dirty)
            if time.monotonic() < self._prolong_at:
                return
            self._prolong_at = time.monotonic() + self._keep_s / 4
            waiting: Any = await self._redis.smembers(keys.HISTORY_TAIL)
            async with self._redis.pipeline(transaction=False) as pipe:
                for member in waiting:
                    i, _, former = member.decode().partition("/")
                    names = keys.events(i), keys.stream(i), keys.epoch(i)
                    for key in (keys.former_events(i, former),) if former else names:
                        pipe.pexpire(key, int(self._keep_s * 1000), gt=True)
                await pipe.execute()
        except UNREACHABLE:
            return
