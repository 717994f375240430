"""Commits: all keys of a session change together, for the holder of the lock only."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from reference_backend import keys, messages, scripts
from reference_backend.locks import Hold, Locks
from reference_backend.session import Session, rfc3339
from reference_backend.settings import Settings
from reference_backend.store import Change, Store

ID = "5f0f1f5e-0000-4000-8000-000000000002"
OWNER = "5f0f1f5e-0000-4000-8000-00000000000a"
EPOCH = 1_795_000_000_000_001

NewLocks = Callable[[], Locks]


def session(**changes: object) -> Session:
    made = Session(
        id=ID,
        type="trace_tcp",
        namespace="demo",
        podName="",
        containerName="",
        labels={},
        status="running",
        startTime=rfc3339(time.time()),
        timeout=10**12,
        owner=OWNER,
        epoch=EPOCH,
        revision=1,
        source="synthetic",
        rate=1.0,
        size=0,
        parameters={},
    )
    return replace(made, **changes)


def creation(key: str | None = None) -> Change:
    return Change(ID, OWNER, None, session(), epoch=EPOCH, stream="01S", due_s=time.time() + 60, idempotency_key=key)


def removal(before: bytes, epoch: int = EPOCH + 1) -> Change:
    end = messages.session_ended(ID, rfc3339(time.time()), "stopped")
    return Change(ID, OWNER, before, None, epoch=epoch, end=end, keep=True)


@pytest.fixture
def store(redis: Redis, settings: Settings) -> Store:
    return Store(redis, settings)


async def made(redis: Redis, store: Store, locks: Locks) -> bytes:
    await redis.set(keys.heartbeat(OWNER), "1")
    async with locks.session(ID) as hold:
        assert await store.commit(hold, creation()) == "ok"
    stored = await store.read(ID)
    assert stored is not None
    return stored.raw


async def read_all(redis: Redis) -> list[Any]:
    entries: Any = await redis.xrange(keys.events(ID))
    return list(entries)


async def append(redis: Redis, epoch: int, before: int, *texts: str) -> str:
    names = [keys.epoch(ID), keys.events(ID)]
    answer = await scripts.APPEND.run(redis, names, [epoch, before, 1000, *texts])
    return str(answer.decode())


async def test_a_create_sets_all_keys_and_a_delete_leaves_only_those_that_expire(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, store, locks)
    for name in (keys.session(ID), keys.epoch(ID), keys.stream(ID)):
        assert await redis.ttl(name) == -1
    assert await redis.sismember(keys.ACTIVE, ID)
    assert await redis.sismember(keys.owned(OWNER), ID)
    assert await append(redis, EPOCH, 0, "one", "two") == "ok"
    async with locks.session(ID) as hold:
        assert await store.commit(hold, removal(raw)) == "ok"
    left = {key.decode() async for key in redis.scan_iter() if ID in key.decode()}
    assert left == {keys.events(ID), keys.stream(ID), keys.epoch(ID), keys.fence(ID)}
    assert all([await redis.pttl(key) > 0 for key in left])
    assert not await redis.exists(keys.ACTIVE, keys.owned(OWNER), keys.DUE)
    last: Any = (await read_all(redis))[-1]
    assert last[0] == b"3-0"
    assert last[1][b"message"].startswith(b'{"type":"session_ended"')


async def test_a_commit_without_the_lock_is_refused(redis: Redis, store: Store, new_locks: NewLocks) -> None:
    raw = await made(redis, store, new_locks())
    changed = Change(ID, OWNER, raw, session(revision=2))
    async with new_locks().session(ID) as hold:
        await redis.delete(keys.lock(ID))  # expired, and nobody took it since
        assert await store.commit(hold, changed) == "lost"
        await redis.set(keys.lock(ID), "another's")
        assert await store.commit(hold, changed) == "lost"
    assert await redis.get(keys.session(ID)) == raw


async def test_a_commit_after_a_larger_fence_was_handed_out_is_refused(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    raw = await made(redis, store, new_locks())
    async with new_locks().session(ID) as hold:
        await redis.set(keys.fence(ID), str(int(hold.fence) + 1))
        assert await store.commit(hold, Change(ID, OWNER, raw, session(revision=2))) == "lost"
    assert await redis.get(keys.session(ID)) == raw


async def test_a_commit_on_a_record_that_changed_since_the_look_is_refused(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    raw = await made(redis, store, new_locks())
    async with new_locks().session(ID) as hold:
        assert await store.commit(hold, Change(ID, OWNER, raw + b" ", session(revision=2))) == "changed"
        assert await store.commit(hold, Change(ID, OWNER, raw, session(revision=2))) == "ok"


async def test_a_commit_whose_answer_was_lost_may_be_sent_again(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, store, locks)
    async with locks.session(ID) as hold:
        change = Change(ID, OWNER, raw, session(revision=2))
        assert [await store.commit(hold, change) for _ in range(2)] == ["ok", "ok"]
    stored = await store.read(ID)
    assert stored is not None
    async with locks.session(ID) as hold:
        assert [await store.commit(hold, removal(stored.raw)) for _ in range(2)] == ["ok", "ok"]
    assert await redis.xlen(keys.events(ID)) == 1


async def test_an_epoch_only_grows(redis: Redis, store: Store, new_locks: NewLocks) -> None:
    raw = await made(redis, store, new_locks())
    async with new_locks().session(ID) as hold:
        for epoch in (EPOCH - 1, EPOCH):
            assert await store.commit(hold, removal(raw, epoch)) == "changed"
        assert await store.commit(hold, removal(raw, EPOCH + 1)) == "ok"


async def test_a_replica_without_a_heartbeat_creates_nothing(redis: Redis, store: Store, new_locks: NewLocks) -> None:
    async with new_locks().session(ID) as hold:
        assert await store.commit(hold, creation()) == "dead"
    assert not await redis.exists(keys.session(ID), keys.ACTIVE, keys.epoch(ID))


async def test_a_second_session_under_one_idempotency_key_is_refused(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    await redis.set(keys.heartbeat(OWNER), "1")
    await redis.set(keys.idempotency("key"), "another session")
    async with new_locks().session(ID) as hold:
        assert await store.commit(hold, creation("key")) == "duplicate"
    assert not await redis.exists(keys.session(ID), keys.ACTIVE)


async def test_appends_are_numbered_and_refused_under_a_stale_epoch(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, store, locks)
    assert await append(redis, EPOCH, 0, "a", "b") == "ok"
    assert await append(redis, EPOCH, 2, "c") == "ok"
    async with locks.session(ID) as hold:
        orphaned = session(revision=2, epoch=EPOCH + 1, status="orphaned")
        assert await store.commit(hold, Change(ID, OWNER, raw, orphaned, epoch=EPOCH + 1)) == "ok"
    assert await append(redis, EPOCH, 3, "late") == "stale"
    assert await append(redis, EPOCH + 1, 3, "d") == "ok"
    entries = await read_all(redis)
    assert [(entry[0], entry[1][b"message"]) for entry in entries] == [
        (b"1-0", b"a"),
        (b"2-0", b"b"),
        (b"3-0", b"c"),
        (b"4-0", b"d"),
    ]


async def test_an_append_whose_answer_was_lost_may_be_sent_again(redis: Redis) -> None:
    await redis.set(keys.epoch(ID), EPOCH)
    assert [await append(redis, EPOCH, 0, "a", "b") for _ in range(2)] == ["ok", "ok"]
    assert await redis.xlen(keys.events(ID)) == 2


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_an_append_that_does_not_follow_what_redis_has_is_refused(redis: Redis, before: int) -> None:
    await redis.set(keys.epoch(ID), EPOCH)
    await append(redis, EPOCH, 0, "a", "b")
    assert await append(redis, EPOCH, before, "x", "y", "z") == "elsewhere"
    assert await redis.xlen(keys.events(ID)) == 2


async def test_a_crash_after_the_lock_leaves_only_what_expires_with_it(redis: Redis, settings: Settings) -> None:
    await scripts.ACQUIRE.run(redis, [keys.lock(ID), keys.fence(ID)], ["token", int(settings.lock_ttl_s * 1000), 9000])
    left = {key.decode() async for key in redis.scan_iter()}
    assert left == {keys.lock(ID), keys.fence(ID)}
    assert all([await redis.pttl(key) > 0 for key in left])


async def test_a_hold_of_nothing_commits_nothing(redis: Redis, store: Store) -> None:
    await redis.set(keys.heartbeat(OWNER), "1")
    assert await store.commit(Hold("", ""), creation()) == "lost"
    assert not await redis.exists(keys.session(ID))


def begun_anew(before: bytes, had: int, stream: str = "02S") -> Change:
    """Another stream of the session, since Redis lost the end of the one that was."""
    after = session(epoch=EPOCH + 1, revision=2)
    return Change(ID, OWNER, before, after, epoch=EPOCH + 1, stream=stream, record=after, lost="lost", had=had)


@pytest.fixture
def recording(redis: Redis, settings: Settings) -> Store:
    """As `store`, with a history."""
    return Store(redis, settings.model_copy(update={"database_url": "postgresql://nowhere"}))


async def left_of(redis: Redis, stream: str = "01S") -> list[tuple[bytes, dict[bytes, bytes]]]:
    entries: Any = await redis.xrange(keys.former_events(ID, stream))
    return list(entries)


async def test_another_stream_begins_with_an_interruption_and_what_is_left_of_the_first_is_the_historys(
    redis: Redis, recording: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, recording, locks)
    before = '{"type":"event","seq":2,"timestamp":"2026-03-01T12:00:00.000000Z","data":{}}'
    assert await append(redis, EPOCH, 0, "one", before) == "ok"
    async with locks.session(ID) as hold:
        assert await recording.commit(hold, begun_anew(raw, had=5)) == "ok"
    assert await redis.get(keys.stream(ID)) == b"02S"
    ((number, fields),) = await read_all(redis)
    first = msgspec.json.decode(fields[b"message"])
    assert (number, first["seq"], first["type"], first["reason"]) == (b"1-0", 1, "interruption", "lost")
    assert first["since"] == "2026-03-01T12:00:00.000000Z"
    left = await left_of(redis)
    assert [number for number, _ in left] == [b"1-0", b"2-0", b"5-0"]
    lost = msgspec.json.decode(left[-1][1][b"message"])
    assert (lost["type"], lost["from"], lost["to"]) == ("gap", 3, 5)
    assert await redis.pttl(keys.former_events(ID, "01S")) > 0
    assert await redis.sismember(keys.HISTORY_TAIL, f"{ID}/01S")
    assert await redis.sismember(keys.owned(OWNER), ID)
    assert await append(redis, EPOCH, 1, "of the former epoch") == "stale"
    assert await append(redis, EPOCH + 1, 1, "two") == "ok"


async def test_nothing_is_left_of_the_first_stream_where_there_is_no_history(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, store, locks)
    assert await append(redis, EPOCH, 0, "one") == "ok"
    async with locks.session(ID) as hold:
        assert await store.commit(hold, begun_anew(raw, had=5)) == "ok"
    assert await left_of(redis) == []
    assert not await redis.exists(keys.HISTORY_TAIL)


async def test_what_was_lost_whole_is_a_gap_and_what_was_not_is_none(
    redis: Redis, recording: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, recording, locks)
    async with locks.session(ID) as hold:
        assert await recording.commit(hold, begun_anew(raw, had=5)) == "ok"
        ((number, fields),) = await left_of(redis)
        assert (number, msgspec.json.decode(fields[b"message"])["from"]) == (b"5-0", 1)
        stored = await recording.read(ID)
        assert stored is not None
        again = replace(stored.session, revision=3, epoch=EPOCH + 2)
        change = Change(ID, OWNER, stored.raw, again, epoch=again.epoch, stream="03S", record=again, lost="lost", had=1)
        assert await recording.commit(hold, change) == "ok"
    assert [number for number, _ in await left_of(redis, "02S")] == [b"1-0"]


async def test_a_later_stream_has_the_larger_id_whatever_the_clock_said(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, store, locks)
    async with locks.session(ID) as hold:
        assert await store.commit(hold, begun_anew(raw, had=0, stream="00S")) == "ok"
    assert await redis.get(keys.stream(ID)) == b"01S0"


async def test_replicas_that_follow_a_stream_are_told_of_another_and_the_dead_are_not(
    redis: Redis, store: Store, new_locks: NewLocks
) -> None:
    locks = new_locks()
    raw = await made(redis, store, locks)
    await redis.zadd(keys.watchers(ID), {OWNER: 1, "dead": 1})
    async with locks.session(ID) as hold:
        assert await store.commit(hold, begun_anew(raw, had=0)) == "ok"
    entries: Any = await redis.xrange(keys.control(OWNER))
    assert [fields for _, fields in entries] == [{b"changed": ID.encode()}]
    assert await redis.pttl(keys.control(OWNER)) > 0
    assert not await redis.exists(keys.control("dead"))
