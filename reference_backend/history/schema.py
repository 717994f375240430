"""The tables of the history. Events are a hypertable where TimescaleDB is there, else an indexed table.

A hypertable's unique key must contain the time by which it is partitioned. An event's time is part of its message,
which is written once, so a key that has the time too tells the same events apart.
"""

import logging
from typing import Any

log = logging.getLogger(__name__)

ADVISORY_LOCK = 0x6C696D706574  # replicas that start together create the tables one after the other

SESSIONS = """
create table if not exists sessions (
  id uuid primary key,
  type text not null,
  namespace text not null,
  status text not null,
  started timestamptz not null,
  ended timestamptz,
  revision bigint not null,
  record text not null
)
"""

EVENTS = """
create table if not exists events (
  session_id uuid not null,
  stream text collate "C" not null,
  seq bigint not null,
  at timestamptz not null,
  kind text not null,
  event_type text not null,
  message text not null,
  primary key (session_id, stream, seq{time})
)
"""

INDEXES = (
    "create index if not exists events_by_time on events (at, session_id, stream, seq)",
    "create index if not exists events_by_type on events (event_type, at)",
    "create index if not exists sessions_by_namespace on sessions (namespace)",
)

HYPERTABLE = "select create_hypertable('events', 'at', if_not_exists => true)"


async def create(connection: Any) -> bool:
    """Create what is missing; several replicas may do so at once. Tells whether events are a hypertable."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        timescale = await _timescale(connection)
        await connection.execute(SESSIONS)
        await connection.execute(EVENTS.format(time=", at" if timescale else ""))
        if timescale:
            await connection.execute(HYPERTABLE)
        for index in INDEXES:
            await connection.execute(index)
    log.info("History: events are %s", "a TimescaleDB hypertable" if timescale else "an indexed table")
    return timescale


async def _timescale(connection: Any) -> bool:
    """Whether the extension is there, created now if the server has it."""
    query = "select installed_version is not null from pg_available_extensions where name = 'timescaledb'"
    installed = await connection.fetchval(query)
    if installed is None:
        return False
    if not installed:
        await connection.execute("create extension if not exists timescaledb")
    return True
