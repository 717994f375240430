"""What becomes of sessions whose owner dies: they go on elsewhere, each once, and nothing is lost without a word."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from backend.owners import (
    CALM,
    all_run,
    announced,
    entries,
    interruptions,
    made_at,
    owner_becomes,
    runs,
    until_interrupted,
    url_of,
)
from backend.service import WITHIN_S, Service, messages, running_service

from limpet.clock import eventually
from limpet.targets.base import Kill, Link, Pause, Pod, Resume, Scale


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Three replicas with leases that only a test ends."""
    async with running_service(tmp_path_factory.mktemp("three"), replicas=3, **CALM) as service:
        yield service


async def dies(service: Service, victim: Pod) -> list[Pod]:
    """Kill a replica; those that are left."""
    others = [pod for pod in await service.pods(3) if pod.name != victim.name]
    await service.target.act(Kill(victim.name))
    return others


async def nothing_is_left_of(service: Service, gone: Pod) -> None:
    async def gone_too() -> bool:
        return not {key for key in await service.keys() if gone.instance in key}

    await eventually(gone_too, within_s=WITHIN_S, what="its keys are gone")


async def test_watchers_elsewhere_see_one_interruption_and_go_on_when_the_owner_is_killed(three: Service) -> None:
    victim, *_ = await three.pods(3)
    made = await made_at(three, victim, rate=100)
    others = [pod for pod in await three.pods(3) if pod.name != victim.name]
    async with three.watch(url_of(others[0]), made["id"], "?after=0") as watcher:
        received = await messages(watcher, 20)
        await three.target.act(Kill(victim.name))
        # well below the lease: the connection between replicas told
        received += await until_interrupted(watcher, 20)
    (announced,) = interruptions(received)
    assert announced["reason"] == "owner lost"
    before = next(m for m in received if m.get("seq") == announced["seq"] - 1)
    assert announced["since"] == before["timestamp"]
    session = await owner_becomes(three, url_of(others[0]), made["id"], [pod.instance for pod in others])
    assert session["epoch"] > made["epoch"]
    assert session["revision"] > made["revision"]
    await nothing_is_left_of(three, victim)


async def test_orphans_are_spread_evenly_and_each_runs_once(three: Service) -> None:
    victim, *_ = await three.pods(3)
    made = [await made_at(three, victim, rate=20) for _ in range(30)]
    others = await dies(three, victim)
    owners = [pod.instance for pod in others]
    running = await all_run(three, url_of(others[0]), {one["id"] for one in made})
    assert [len(running[owner]) for owner in owners] == [15, 15]
    for one in made:
        assert await announced(three, one["id"]) == 1
        assert await three.delete(url_of(others[0]), one["id"]) == 204


async def test_what_is_deleted_in_the_same_moment_stays_deleted(three: Service) -> None:
    victim, *_ = await three.pods(3)
    made = [await made_at(three, victim, rate=20) for _ in range(12)]
    others = [pod for pod in await three.pods(3) if pod.name != victim.name]
    deletes = [asyncio.create_task(three.delete(url_of(others[n % 2]), one["id"])) for n, one in enumerate(made)]
    await three.target.act(Kill(victim.name))
    codes = await asyncio.gather(*deletes)
    gone = [one["id"] for one, code in zip(made, codes, strict=True) if code == 204]
    assert len(gone) == len(made)
    await three.pods(3)
    for session_id in gone:
        assert await runs(three, url_of(others[0]), session_id) == []
        assert not await three.redis.exists(f"session:{session_id}")
        assert '"type":"session_ended"' in (await entries(three, session_id))[-1]["message"]


async def test_a_source_that_no_replica_has_any_more_is_orphaned_visibly(three: Service) -> None:
    victim, *_ = await three.pods(3)
    made = await made_at(three, victim)
    record = str(await three.redis.get(f"session:{made['id']}")).replace('"source":"synthetic"', '"source":"host"')
    await three.redis.set(f"session:{made['id']}", record)
    others = await dies(three, victim)

    async def orphaned() -> bool:
        session = await three.read(url_of(others[0]), made["id"])
        return bool(session["status"] == "orphaned" and session["reason"] == "no replica has the source host")

    await eventually(orphaned, within_s=WITHIN_S, what="the session is orphaned, with the reason")
    assert await three.delete(url_of(others[0]), made["id"]) == 204
    await three.pods(3)


async def test_two_that_adopt_at_once_adopt_once(three: Service) -> None:
    victim, one, other = await three.pods(3)
    made = [await made_at(three, victim, rate=20) for _ in range(10)]
    ids = [session["id"] for session in made]
    await three.target.act(Pause(victim.name))
    await three.redis.delete(f"backend:{victim.instance}:heartbeat")  # as if its lease were over
    tell = [
        three.http.post(f"{url_of(pod)}/internal/sessions/adopt", json={"sessions": ids}) for pod in (one, other) * 3
    ]
    await asyncio.gather(*tell)
    for session_id in ids:
        await owner_becomes(three, url_of(one), session_id, [one.instance, other.instance])
        assert await announced(three, session_id) == 1
    await three.target.act(Resume(victim.name))

    async def stopped() -> bool:
        return not set(ids) & set((await three.running(url_of(one))).get(victim.instance, ids))

    await eventually(stopped, within_s=WITHIN_S, what="the former owner runs none of them")
    assert [await three.delete(url_of(one), i) for i in ids] == [204] * len(ids)


async def test_a_pause_beyond_the_lease_costs_an_interruption_and_the_former_owner_writes_nothing_more(
    own_service: Service,
) -> None:
    service = own_service
    paused, other = await service.pods()
    made = await made_at(service, paused, rate=100)
    async with service.watch(url_of(other), made["id"], "?after=0") as watcher:
        received = await messages(watcher, 20)
        await service.target.act(Pause(paused.name))
        received += await until_interrupted(watcher, 20)
        session = await owner_becomes(service, url_of(other), made["id"], [other.instance])
        await service.target.act(Resume(paused.name))

        async def told() -> bool:
            return "Back with a lease" in await service.target.log(paused.name)

        await eventually(told, within_s=WITHIN_S, what="the log of the paused replica says so")
        received += await messages(watcher, 50)
    assert len(interruptions(received)) == 1
    epochs = [int(entry["epoch"]) for entry in await entries(service, made["id"])]
    assert set(epochs) == {made["epoch"], session["epoch"]}
    assert epochs == sorted(epochs)
    assert (await service.read(url_of(other), made["id"]))["owner"] == other.instance
    await service.pods()
    assert await service.delete(url_of(paused), made["id"]) == 204


async def test_a_replica_that_lost_its_lease_goes_on_with_what_nobody_took(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with running_service(tmp_path_factory.mktemp("fenced"), replicas=1) as service:
        (alone,) = await service.pods(1)
        made = await service.create(url_of(alone), rate=50)
        await service.target.act(Link(alone.name, "redis", "cut"))

        async def idle() -> bool:
            answer = await service.http.get(f"{url_of(alone)}/internal/status")
            return bool(answer.json()["gadgets"] == [])

        await eventually(idle, within_s=WITHIN_S, what="it stops its gadgets")
        await service.target.act(Link(alone.name, "redis", "pass"))
        await owner_becomes(service, url_of(alone), made["id"], [alone.instance])
        async with service.watch(url_of(alone), made["id"], "?after=0") as watcher:
            received = await until_interrupted(watcher, 5)
        (announced,) = interruptions(received)
        assert announced["reason"] == "owner had no lease"


async def test_without_a_peer_sessions_wait_for_the_next_replica(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running_service(tmp_path_factory.mktemp("alone"), replicas=1, **CALM) as service:
        (alone,) = await service.pods(1)
        made = [await service.create(url_of(alone), rate=50) for _ in range(5)]
        await service.target.act(Scale(0))
        for one in made:
            assert '"status":"orphaned"' in str(await service.redis.get(f"session:{one['id']}"))
        await service.target.act(Scale(1))
        (new,) = await service.pods(1)
        for one in made:
            await owner_becomes(service, url_of(new), one["id"], [new.instance])
            async with service.watch(url_of(new), one["id"], "?after=0") as watcher:
                received = await until_interrupted(watcher, 5)
            assert len(interruptions(received)) == 1
        await nothing_is_left_of(service, alone)
