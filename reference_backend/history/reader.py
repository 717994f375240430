"""Reads the history: replay, statistics, search. What only the stream has yet is written first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reference_backend import messages
from reference_backend.history.database import Database
from reference_backend.history.writer import Writer
from reference_backend.messages import END_PREFIX, GAP_PREFIX
from reference_backend.resume import Kept

Cursor = tuple[str, str, str, int]
"""A place in a search: time (ISO 8601), session, stream, seq."""

Recorded = tuple[str, int, bytes]
"""Stream, seq, message."""

KEPT = "select stream, min(seq), max(seq) from events where session_id = $1 and kind <> 'gap' group by 1"

COUNT = """
select count(*) from events where session_id = $1 and stream = $2 and seq between $3 and $4 and kind <> 'gap'
"""

PAGE = """
select stream, seq, message from events
where session_id = $1 and (stream, seq) > ($2, $3) and ($4::text is null or stream = $4)
order by stream, seq limit $5
"""

STATISTICS = """
select stream, kind, event_type, count(*), min(seq), max(seq), min(at), max(at)
from events where session_id = $1 and ($2::text is null or stream = $2) and kind <> 'gap'
group by 1, 2, 3 order by 1, 2, 3
"""

# A row that is a gap itself stands for all from the row before it up to its own number.
GAPS = """
select stream, before + 1, last from (
  select stream, case when kind = 'gap' then seq else seq - 1 end as last,
    coalesce(lag(seq) over (partition by stream order by seq), 0) as before
  from events where session_id = $1 and ($2::text is null or stream = $2)
) as numbered where last > before order by 1, 2
"""

SEARCH = """
select e.at, e.session_id::text, e.stream, e.seq, e.message, s.namespace
from events e left join sessions s on s.id = e.session_id
where ($1::text is null or e.event_type = $1)
  and ($2::text is null or s.namespace = $2)
  and ($3::uuid is null or e.session_id = $3)
  and ($4::timestamptz is null or e.at >= $4)
  and ($5::timestamptz is null or e.at < $5)
  and ($6::text is null or e.message ilike $6)
  and ($7::timestamptz is null or (e.at, e.session_id, e.stream, e.seq) > ($7, $8::uuid, $9::text, $10::bigint))
  and e.kind = 'event'
order by e.at, e.session_id, e.stream, e.seq limit $11
"""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; None does not narrow. `text` is found anywhere in a message, whatever its case."""

    event_type: str | None
    namespace: str | None
    session_id: str | None
    start: datetime | None
    end: datetime | None
    text: str | None


class Reader:
    """Reads for clients and watchers."""

    def __init__(self, database: Database, writer: Writer, *, search_s: float) -> None:
        self._database = database
        self._writer = writer
        self._search_s = search_s

    async def kept(self, session_id: str, stream: str | None) -> Kept | None:
        """What is recorded of `stream`, or of the session's last one if that is not known; None if nothing is."""
        if not self._database.configured:
            return None
        async with self._database.connection() as connection:
            rows = await connection.fetch(KEPT, session_id)
        if not rows:
            return None
        row = next((row for row in rows if row[0] == stream), max(rows, key=lambda row: str(row[0])))
        newest = await self.after(session_id, row[0], row[2] - 1, 1)
        return Kept(row[0], row[1], row[2], ended=newest[0][1].startswith(END_PREFIX))

    async def after(self, session_id: str, stream: str, seq: int, limit: int) -> list[tuple[int, bytes]]:
        """The next recorded messages of one stream."""
        rows = await self._fetch(PAGE, session_id, stream, seq, stream, limit)
        found = [(row[1], row[2].encode()) for row in rows]
        return [(number, message) for number, message in found if not message.startswith(GAP_PREFIX)]

    async def has_all(self, session_id: str, stream: str, first: int, last: int) -> bool:
        """Whether all messages of one stream from `first` to `last` are recorded."""
        rows = await self._fetch(COUNT, session_id, stream, first, last)
        return bool(rows[0][0] == max(0, last - first + 1))

    async def replay(self, session_id: str, stream: str | None, after: tuple[str, int], limit: int) -> list[Recorded]:
        """Recorded messages in order, those that only the stream has included: stream, seq, message.

        What is missing between them is a `gap`, with its last number; these make it more than `limit`.
        """
        await self._writer.catch_up([session_id])
        rows = await self._fetch(PAGE, session_id, *after, stream, limit)
        return list(_with_gaps(session_id, after, ((row[0], row[1], row[2].encode()) for row in rows)))

    async def statistics(self, session_id: str, stream: str | None) -> dict[str, Any]:
        """Counts per type, first and last, and what is missing between them."""
        await self._writer.catch_up([session_id])
        rows = await self._fetch(STATISTICS, session_id, stream)
        gaps = await self._fetch(GAPS, session_id, stream)
        return {
            "sessionId": session_id,
            "streams": sorted({row[0] for row in rows}),
            "count": sum(row[3] for row in rows),
            "types": _summed((row[2] or row[1], row[3]) for row in rows),
            "firstSeq": min((row[4] for row in rows), default=None),
            "lastSeq": max((row[5] for row in rows), default=None),
            "first": min((row[6] for row in rows), default=None),
            "last": max((row[7] for row in rows), default=None),
            "lost": sum(row[2] - row[1] + 1 for row in gaps),
            "gaps": [{"stream": row[0], "from": row[1], "to": row[2]} for row in gaps],
        }

    async def search(self, query: Query, cursor: Cursor | None, limit: int) -> Sequence[Any]:
        """Events in order of time: time, session, stream, seq, message, namespace.

        Raises:
            ApiError: 503, the history cannot be asked; 400, the search takes too long.
        """
        like = None if query.text is None else f"%{_escaped(query.text)}%"
        place = (datetime.fromisoformat(cursor[0]), *cursor[1:]) if cursor else (None,) * 4
        async with self._database.connection() as connection, connection.transaction(readonly=True):
            await connection.execute(f"set local statement_timeout = {int(self._search_s * 1000)}")
            rows: Sequence[Any] = await connection.fetch(
                SEARCH,
                query.event_type,
                query.namespace,
                query.session_id,
                query.start,
                query.end,
                like,
                *place,
                limit,
            )
        return rows

    async def _fetch(self, statement: str, *args: Any) -> Sequence[Any]:
        async with self._database.connection() as connection:
            rows: Sequence[Any] = await connection.fetch(statement, *args)
        return rows


def _with_gaps(session_id: str, after: tuple[str, int], rows: Iterable[Recorded]) -> Iterator[Recorded]:
    """The rows, with a gap before each that does not follow the one before it."""
    before, last = after
    for stream, seq, message in rows:
        if stream != before:
            before, last = stream, 0
        is_gap = message.startswith(GAP_PREFIX)
        if lost := seq - last - (not is_gap):
            yield stream, last + lost, messages.gap(session_id, last + 1, last + lost)
        if not is_gap:
            yield stream, seq, message
        last = seq


def _escaped(given: str) -> str:
    """A text as a pattern of `like` that matches only itself."""
    return given.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _summed(pairs: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, count in pairs:
        counts[name] = counts.get(name, 0) + count
    return counts
