"""What is wrong between clients and replicas, each produced on purpose in a small fake backend."""

from dataclasses import replace

import pytest
from doctor.fake_backend import INSTANCES, Fake
from doctor.reports import only
from redis.asyncio import Redis

from limpet.contract import Contract
from limpet.doctor.walk import Report, walk
from limpet.status.place import Place
from limpet.targets.base import Pod

A, B = INSTANCES


async def examined(fake: Fake, place: Place, *, try_session: bool = False) -> Report:
    """What the doctor says of the fake backend, which has written its heartbeats."""
    async with fake.running() as (url, _):
        return await walk(replace(place, base_url=url), try_session=try_session)


async def test_a_sticky_ingress_is_sound(fake: Fake, place: Place) -> None:
    report = await examined(fake, place, try_session=True)
    assert report.causes == ()
    assert {"cookie missing", "cookie lost", "cookie ignored", "stream elsewhere"} <= set(report.sound)


async def test_missing_cookie_is_named(fake: Fake, place: Place) -> None:
    fake.switches.cookie = ""
    assert "backend-session" in only(await examined(fake, place), "cookie missing").evidence[0]


async def test_cookie_of_another_name_is_suggested(fake: Fake, place: Place) -> None:
    fake.switches.cookie = "lb"
    assert 'ingress.cookie = "lb"' in only(await examined(fake, place), "cookie missing").remedy


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ("Path=/api; HttpOnly", "its path /api does not cover /ws/{id}"),
        ("Path=/; Secure", "it is secure, and users come over http"),
        ("Path=/; Domain=gadgets.example", "its domain gadgets.example is not that of 127.0.0.1"),
    ],
)
async def test_cookie_that_browsers_keep_back_is_named(fake: Fake, place: Place, attributes: str, why: str) -> None:
    fake.switches.attributes = attributes
    cause = only(await examined(fake, place), "cookie lost")
    assert any(why in line for line in cause.evidence)


async def test_cookie_that_is_dropped_on_its_way_is_named(fake: Fake, place: Place) -> None:
    fake.switches.drops_cookie = True
    assert "does not reach the ingress" in only(await examined(fake, place), "cookie lost").what


async def test_cookie_that_is_ignored_is_named(fake: Fake, place: Place) -> None:
    fake.switches.ignores_cookie = True
    cause = only(await examined(fake, place), "cookie ignored")
    assert A in cause.evidence[1]
    assert B in cause.evidence[1]


async def test_ignored_cookie_needs_sessions_where_answers_name_no_replica(
    fake: Fake, place: Place, gadget: Contract
) -> None:
    fake.switches.ignores_cookie = True
    fake.switches.headers = False
    silent = replace(place, contract=replace(gadget, http=replace(gadget.http, instance_header=None)))
    report = await examined(fake, silent)
    assert report.causes == ()
    assert "--try-session" in report.unseen["cookie ignored"]


async def test_ignored_cookie_is_seen_by_the_owners_of_sessions(
    redis: Redis, redis_port: int, gadget: Contract
) -> None:
    fake = Fake(redis)
    fake.switches.ignores_cookie = True
    fake.switches.headers = False
    silent = replace(gadget, http=replace(gadget.http, instance_header=None))
    place = Place("a test", silent, redis_url=f"redis://127.0.0.1:{redis_port}/0")
    report = await examined(fake, place, try_session=True)
    assert "cookie ignored" in {cause.name for cause in report.causes}
    assert not fake.sessions


async def test_stream_that_reaches_another_replica_is_named(fake: Fake, place: Place) -> None:
    fake.switches.streams_elsewhere = True
    cause = only(await examined(fake, place, try_session=True), "stream elsewhere")
    assert any("Session is on a different backend instance" in line for line in cause.evidence)
    assert not fake.sessions


async def test_sessions_are_started_only_when_allowed(fake: Fake, place: Place) -> None:
    fake.switches.streams_elsewhere = True
    report = await examined(fake, place)
    assert report.causes == ()
    assert "--try-session" in report.unseen["stream elsewhere"]


async def test_ingress_that_reaches_nobody_is_named(fake: Fake, place: Place) -> None:
    fake.switches.status = 503
    assert "503" in only(await examined(fake, place), "ingress down").evidence[0]


async def test_ingress_that_does_not_answer_is_named(place: Place) -> None:
    cause = only(await walk(replace(place, base_url="http://127.0.0.1:1")), "ingress down")
    assert "http://127.0.0.1:1" in cause.evidence[0]


def pods(addresses: tuple[str, ...]) -> tuple[Pod, ...]:
    """The replicas of the fake backend as whoever runs them would tell."""
    pairs = zip(INSTANCES, addresses, strict=True)
    return tuple(Pod(f"backend-{i}", at, "ready", True, 0, 0, one) for i, (one, at) in enumerate(pairs, 1))  # noqa: FBT003  as a target makes them


async def test_replica_that_does_not_reach_redis_is_named(fake: Fake, place: Place, redis: Redis) -> None:
    seconds, _ = await redis.time()
    await redis.set(f"backend:{A}:heartbeat", seconds, px=15_000)
    fake.switches.ready[B] = "redis: no connection within 1 s"
    async with fake.running() as (url, addresses):
        cause = only(await walk(replace(place, base_url=url, pods=pods(addresses))), "Redis unreachable")
    assert cause.about == {"backend-2"}
    assert any("it says so itself" in line for line in cause.evidence)
    assert f"backend:{B}:heartbeat is gone" in cause.evidence


async def test_replica_that_is_draining_is_not_cut_off(fake: Fake, place: Place, redis: Redis) -> None:
    seconds, _ = await redis.time()
    for instance in INSTANCES:
        await redis.set(f"backend:{instance}:heartbeat", seconds, px=15_000)
    fake.switches.ready[B] = "draining"
    async with fake.running() as (url, addresses):
        assert (await walk(replace(place, base_url=url, pods=pods(addresses)))).causes == ()


async def test_redis_that_is_down_is_named_with_what_replicas_say(fake: Fake, gadget: Contract) -> None:
    fake.switches.ready = dict.fromkeys(INSTANCES, "redis is away")
    async with fake.running() as (url, addresses):
        place = Place("a test", gadget, url, "redis://:secret@127.0.0.1:1/0", pods=pods(addresses))
        cause = only(await walk(place), "Redis unreachable")
    assert "secret" not in str(cause)
    assert sum("redis is away" in line for line in cause.evidence) == 2


async def test_wrong_password_is_named(fake: Fake, place: Place, redis: Redis) -> None:
    await redis.config_set("requirepass", "right")
    async with fake.running() as (url, _):
        cause = only(await walk(replace(place, base_url=url)), "Redis unreachable")
    assert "password" in cause.remedy


async def test_ready_replica_without_heartbeat_is_named(fake: Fake, place: Place, redis: Redis) -> None:
    seconds, _ = await redis.time()
    await redis.set(f"backend:{A}:heartbeat", seconds, px=15_000)
    async with fake.running() as (url, addresses):
        cause = only(await walk(replace(place, base_url=url, pods=pods(addresses))), "heartbeat stuck")
    assert cause.about == {"backend-2"}


async def test_ready_replica_with_an_old_heartbeat_is_named(fake: Fake, place: Place, redis: Redis) -> None:
    seconds, _ = await redis.time()
    await redis.set(f"backend:{A}:heartbeat", seconds, px=15_000)
    await redis.set(f"backend:{B}:heartbeat", seconds - 12, px=3_000)
    async with fake.running() as (url, addresses):
        cause = only(await walk(replace(place, base_url=url, pods=pods(addresses))), "heartbeat stuck")
    assert any("s old" in line for line in cause.evidence)
