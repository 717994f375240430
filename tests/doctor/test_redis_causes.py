"""What is wrong with Redis or in its keys, each produced on purpose in a true Valkey; and what only looks like it."""

import json
from dataclasses import replace

import pytest
from doctor.fake_backend import INSTANCES
from doctor.reports import found, only
from redis.asyncio import Redis

from limpet.contract import Contract
from limpet.doctor.gather import again, gather
from limpet.doctor.walk import confirmed, examine, walk
from limpet.errors import LimpetError
from limpet.status.place import Place

A, B = INSTANCES
SESSION = "7d3f0000-0000-4000-8000-000000000001"


async def beat(redis: Redis, instance: str, *, ahead_s: float = 0.0, ttl_s: float = 15.0) -> None:
    """A heartbeat as a replica whose clock is `ahead_s` ahead writes it."""
    seconds, _ = await redis.time()
    await redis.set(f"backend:{instance}:heartbeat", int(seconds + ahead_s), px=int(ttl_s * 1000))


async def start(redis: Redis, session: str = SESSION, owner: str = A) -> None:
    """A session as a sound backend keeps it."""
    await redis.set(f"session:{session}", json.dumps({"id": session}))
    await redis.sadd("sessions:active", session)
    await redis.sadd(f"backend:{owner}:sessions", session)


async def test_nothing_is_wrong_with_sessions_owned_by_live_replicas(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await beat(redis, B)
    await start(redis)
    await redis.set(f"lock:session:{SESSION}", "token", px=10_000)
    report = await walk(place)
    assert report.causes == ()
    assert {"dead owner", "clock skew", "eviction", "no append-only file"} <= set(report.sound)


async def test_an_idle_server_has_nothing_wrong(place: Place) -> None:
    assert (await walk(place)).causes == ()


async def test_missing_append_only_file_is_named(redis: Redis, place: Place) -> None:
    await redis.config_set("appendonly", "no")
    cause = only(await walk(place), "no append-only file")
    assert "everything" in cause.what
    assert any("aof_enabled is 0" in line for line in cause.evidence)


async def test_with_snapshots_less_is_lost(redis: Redis, place: Place) -> None:
    await redis.config_set("appendonly", "no")
    await redis.config_set("save", "3600 1")
    assert "after its last snapshot" in only(await walk(place), "no append-only file").what


@pytest.mark.parametrize(("policy", "victims"), [("allkeys-lru", "sessions"), ("volatile-ttl", "heartbeats")])
async def test_eviction_policy_is_named_with_what_it_takes(
    redis: Redis, place: Place, policy: str, victims: str
) -> None:
    await redis.config_set("maxmemory-policy", policy)
    await redis.config_set("maxmemory", str(512 << 20))
    cause = only(await walk(place), "eviction")
    assert victims in cause.what
    assert any(policy in line for line in cause.evidence)


async def test_eviction_without_a_limit_says_that_it_is_not_at_work(redis: Redis, place: Place) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    assert any("no limit is set now" in line for line in only(await walk(place), "eviction").evidence)


async def test_expiring_list_of_sessions_is_named(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis)
    await redis.expire("sessions:active", 600)
    assert only(await walk(place), "sessions expire").about == {"sessions:active"}


async def test_expiring_record_of_a_live_session_is_named(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis)
    await redis.expire(f"session:{SESSION}", 600)
    cause = only(await walk(place), "sessions expire")
    assert any(f"PTTL session:{SESSION}" in line for line in cause.evidence)


async def test_expiring_record_of_an_ended_session_is_sound(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis)
    await redis.srem(f"backend:{A}:sessions", SESSION)
    await redis.xadd(f"events:{SESSION}", {"message": "end"})
    await redis.expire(f"events:{SESSION}", 300)
    await redis.expire(f"session:{SESSION}", 300)
    assert (await walk(place)).causes == ()


async def test_listed_session_without_record_is_named(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis)
    await redis.delete(f"session:{SESSION}")
    assert only(await walk(place), "lost record").about == {SESSION}


async def test_session_of_an_owner_without_heartbeat_is_named(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis, owner=B)
    cause = only(await walk(place), "dead owner")
    assert cause.about == {B, SESSION}
    assert f"there is no key backend:{B}:heartbeat" in cause.evidence


async def test_session_that_nobody_owns_is_named(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis)
    await redis.srem(f"backend:{A}:sessions", SESSION)
    assert SESSION in only(await walk(place), "dead owner").about


async def test_owner_that_died_just_now_and_is_replaced_is_no_cause(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis, owner=B)
    seen = await gather(place, try_session=False)
    await redis.smove(f"backend:{B}:sessions", f"backend:{A}:sessions", SESSION)
    first, second = examine(seen), examine(await again(seen))
    assert found(first) == {"dead owner"}
    assert confirmed(first, second).causes == ()


async def test_another_momentary_state_at_the_second_look_is_no_cause_either(redis: Redis, place: Place) -> None:
    await beat(redis, A)
    await start(redis, owner=B)
    seen = await gather(place, try_session=False)
    await redis.delete(f"backend:{B}:sessions", f"session:{SESSION}", "sessions:active")
    await start(redis, "7d3f0000-0000-4000-8000-000000000002", owner="33333333-3333-4333-8333-333333333333")
    first, second = examine(seen), examine(await again(seen))
    assert found(second) == {"dead owner"}
    assert confirmed(first, second).causes == ()


@pytest.mark.parametrize("ahead_s", [-30.0, 30.0])
async def test_clock_skew_is_named_with_its_size_and_side(redis: Redis, place: Place, ahead_s: float) -> None:
    await beat(redis, A)
    await beat(redis, B, ahead_s=ahead_s)
    cause = only(await walk(place), "clock skew")
    assert B in cause.what
    assert ("ahead of" if ahead_s > 0 else "behind") in cause.what


async def test_heartbeat_that_is_as_old_as_its_life_shows_is_no_skew(redis: Redis, place: Place) -> None:
    await beat(redis, A, ahead_s=-4.0, ttl_s=11.0)  # written 4 s ago, with 15 s to live
    assert "clock skew" not in found(await walk(place))


@pytest.mark.parametrize("value", ["soon", "1795468912240", "nan"])
async def test_heartbeat_in_another_unit_is_named(redis: Redis, place: Place, value: str) -> None:
    await redis.set(f"backend:{A}:heartbeat", value, px=15_000)
    assert "no Unix time in seconds" in only(await walk(place), "clock skew").what


@pytest.mark.parametrize(
    ("written", "suggested"),
    [
        (f"backends:{A}:heartbeat", 'heartbeat = "backends:{instance}:heartbeat"'),
        (f"backend/{A}/heartbeat", 'heartbeat = "backend/{instance}/heartbeat"'),
        (f"heartbeat:{A}", 'heartbeat = "heartbeat:{instance}"'),
        (f"prod:backend:{A}:heartbeat", 'heartbeat = "prod:backend:{instance}:heartbeat"'),
    ],
)
async def test_wrong_key_name_is_named_with_the_near_one(
    redis: Redis, place: Place, written: str, suggested: str
) -> None:
    await redis.set(written, "1795468912", px=15_000)
    cause = only(await walk(place), "wrong key name")
    assert suggested in cause.remedy


async def test_wrong_name_of_heartbeats_makes_nobody_dead(redis: Redis, place: Place) -> None:
    await start(redis)
    await redis.set(f"backends:{A}:heartbeat", "1795468912", px=15_000)
    assert found(await walk(place)) == {"wrong key name"}


async def test_wrong_name_of_the_list_is_named(redis: Redis, place: Place, gadget: Contract) -> None:
    await beat(redis, A)
    await redis.sadd("sessions:live", SESSION)
    redis_keys = replace(gadget.redis, active="sessions:lives")
    cause = only(await walk(replace(place, contract=replace(gadget, redis=redis_keys))), "wrong key name")
    assert 'active = "sessions:live"' in cause.remedy


async def test_other_keys_of_a_backend_are_not_taken_for_misnamed_ones(redis: Redis, place: Place) -> None:
    await redis.zadd("sessions:due", {SESSION: 1})
    await redis.sadd("history:tail", SESSION)
    await redis.set(f"fence:idempotency:{SESSION}", "1")
    await redis.xadd(f"backend:{A}:control", {"a": "b"})
    assert (await walk(place)).causes == ()


async def test_key_of_another_type_is_named(redis: Redis, place: Place) -> None:
    await redis.rpush("sessions:active", SESSION)
    cause = only(await walk(place), "wrong key name")
    assert "list" in cause.evidence[0]


async def test_keys_in_another_database_are_named(redis: Redis, place: Place) -> None:
    async with Redis(port=redis.connection_pool.connection_kwargs["port"], db=3) as third:
        await start(third)
    cause = only(await walk(place), "wrong key name")
    assert any("db3" in line for line in cause.evidence)


async def test_lock_that_never_expires_is_named(redis: Redis, place: Place) -> None:
    await redis.set(f"lock:session:{SESSION}", "token")
    assert "never expires" in only(await walk(place), "stuck lock").evidence[1]


async def test_lock_that_outlives_the_contract_is_named(redis: Redis, place: Place) -> None:
    await redis.set(f"lock:session:{SESSION}", "token", px=60_000)
    assert "timing.lock_ttl_s is 10" in only(await walk(place), "stuck lock").evidence[1]


async def test_what_the_contract_does_not_offer_is_not_looked_at(place: Place, gadget: Contract) -> None:
    bare = replace(gadget, redis=replace(gadget.redis, heartbeat=None))
    report = await walk(replace(place, contract=bare))
    assert report.unseen["clock skew"] == "redis.heartbeat is not in the contract"


async def test_a_place_where_nothing_answers_cannot_be_looked_at(gadget: Contract) -> None:
    with pytest.raises(LimpetError, match="nothing answers"):
        await walk(Place("a test", gadget, redis_url="redis://127.0.0.1:1/0", base_url="http://127.0.0.1:1"))
