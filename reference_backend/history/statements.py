"""What the writer of the history says to PostgreSQL."""

INSERT_EVENTS = """
insert into events (session_id, stream, seq, at, kind, event_type, message)
select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
on conflict do nothing
"""

LAST_WRITTEN = """
select session_id::text, stream, max(seq) from events
where (session_id, stream) in (select * from unnest($1::uuid[], $2::text[])) group by 1, 2
"""

UPSERT_SESSIONS = """
insert into sessions as s (id, type, namespace, status, started, ended, revision, record)
select * from unnest(
  $1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bigint[], $8::text[]
)
on conflict (id) do update set
  status = excluded.status, ended = excluded.ended, revision = excluded.revision, record = excluded.record
where s.revision < excluded.revision
"""
