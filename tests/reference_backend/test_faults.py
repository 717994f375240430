"""What becomes of sessions when replicas stop, die or stand still, and when Redis goes away."""

import asyncio
import time

import pytest
from backend.owners import made_at, owner_becomes
from backend.service import BODY, TIMING, WITHIN_S, Service, messages, running_service, until_closed
from websockets.exceptions import ConnectionClosed

from limpet.clock import eventually
from limpet.targets.base import Kill, Link, Pause, Pod, Restart, Resume


async def status_is(service: Service, url: str, session_id: str, status: str) -> None:
    async def has_status() -> bool:
        return bool((await service.read(url, session_id))["status"] == status)

    await eventually(has_status, within_s=WITHIN_S, what=f"session is {status}")


async def survivor_of(service: Service, gone: Pod) -> str:
    pods = [pod for pod in await service.target.pods() if pod.phase == "ready" and pod.instance != gone.instance]
    return f"http://{pods[0].address}"


async def test_a_replica_beats_at_once_and_every_interval_with_the_time(service: Service) -> None:
    pod = (await service.pods())[0]
    key = f"backend:{pod.instance}:heartbeat"
    seen = set()
    for _ in range(40):
        value = int(await service.redis.get(key) or 0)
        assert abs(value - time.time()) < 2.5
        assert 0 < await service.redis.pttl(key) <= TIMING["heartbeat_ttl_s"] * 1000
        seen.add(value)
        await asyncio.sleep(0.05)
    assert len(seen) >= 2


async def test_a_killed_replica_disappears_within_the_ttl_and_its_sessions_stay(own_service: Service) -> None:
    service = own_service
    victim, _ = await service.pods()
    url = f"http://{victim.address}"
    made = await made_at(service, victim)
    watcher = await service.watch(url, made["id"])
    await messages(watcher, 2)
    await service.target.act(Kill(victim.name))
    killed_at = time.monotonic()
    with pytest.raises(ConnectionClosed):
        await messages(watcher, 1000)
    survivor = await survivor_of(service, victim)

    async def gone() -> bool:
        # Session keys name their owner in their content only.
        return not {key for key in await service.keys() if victim.instance in key or key == f"ws:{made['id']}"}

    await eventually(gone, within_s=WITHIN_S, what="the dead replica's keys are gone")
    assert time.monotonic() - killed_at < TIMING["heartbeat_ttl_s"] + 1.5
    session = await owner_becomes(service, survivor, made["id"], [pod.instance for pod in await service.pods()])
    assert session["epoch"] > made["epoch"]
    answer = await service.http.patch(f"{survivor}/api/sessions/{made['id']}", json={"labels": {"still": "there"}})
    assert answer.json()["status"] == "running"
    assert await service.delete(survivor, made["id"]) == 204


async def test_an_owner_that_does_not_answer_is_overruled_and_appends_nothing_more(own_service: Service) -> None:
    service = own_service
    paused, _ = await service.pods()
    made = await made_at(service, paused, rate=200)
    survivor = await survivor_of(service, paused)
    async with service.watch(survivor, made["id"]) as watcher:
        await messages(watcher, 10)
        await service.target.act(Pause(paused.name))
        assert await service.delete(survivor, made["id"]) == 204
        end = (await until_closed(watcher))[-1]
    await service.target.act(Resume(paused.name))
    assert end["type"] == "session_ended"

    async def stopped() -> bool:
        running = await service.running(survivor)
        return paused.instance in running and made["id"] not in running[paused.instance]

    await eventually(stopped, within_s=WITHIN_S, what="the overruled owner has stopped the gadget")
    newest = await service.redis.xrevrange(f"events:{made['id']}", count=1)
    assert newest is not None
    assert newest[0][0] == f"{end['seq']}-0"


async def test_a_replica_without_a_heartbeat_stops_its_gadgets_by_itself(own_service: Service) -> None:
    service = own_service
    cut, _ = await service.pods()
    made = await made_at(service, cut)
    await service.target.act(Link(cut.name, "redis", "blackhole"))

    async def fenced() -> bool:
        answer = await service.http.get(f"http://{cut.address}/internal/status")
        return bool(answer.json()["gadgets"] == [])

    await eventually(fenced, within_s=WITHIN_S, what="the replica stops its gadgets")
    assert "Self-fence" in await service.target.log(cut.name)
    await service.target.act(Link(cut.name, "redis", "pass"))
    owners = [pod.instance for pod in await service.pods()]
    await owner_becomes(service, await survivor_of(service, cut), made["id"], owners)


async def test_a_moment_without_redis_costs_503s_and_nothing_else(own_service: Service) -> None:
    service = own_service
    one, other = await service.urls()
    made = await service.create(one, rate=100)
    pods = await service.pods()
    async with service.watch(other, made["id"], "?after=0") as watcher:
        received = await messages(watcher, 20)
        for pod in pods:
            await service.target.act(Link(pod.name, "redis", "cut"))
        for call in ("/ready", "/api/sessions", f"/api/sessions/{made['id']}"):
            answer = await service.http.get(f"{one}{call}")
            assert answer.status_code == 503, call
            assert call == "/ready" or int(answer.headers["Retry-After"]) >= 1
        answer = await service.http.post(f"{one}/api/sessions", json=BODY)
        assert answer.status_code == 503
        assert (await service.http.get(f"{one}/health")).status_code == 200
        for pod in pods:
            await service.target.act(Link(pod.name, "redis", "pass"))
        received += await messages(watcher, 100)
    events = [message for message in received if message["type"] == "event"]
    assert not [m for m in received if m["type"] not in ("event", "subscribed")]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["data"]["n"] for event in events] == list(range(1, len(events) + 1))
    await service.pods()
    assert await service.delete(other, made["id"]) == 204


async def test_no_acknowledged_session_is_lost_with_a_killed_redis(own_service: Service) -> None:
    service = own_service
    one, other = await service.urls()
    made = await asyncio.gather(*(service.create(url, rate=1) for url in (one, other) * 10))
    await service.target.act(Restart("redis", hard=True))
    await service.pods()
    listed = {session["id"] for session in (await service.http.get(f"{other}/api/sessions")).json()}
    assert {session["id"] for session in made} <= listed


async def test_sessions_end_with_their_time_and_leave_when_they_were_kept_long_enough(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("lifetimes")
    async with running_service(folder, ended_keep_s=1.0) as service:
        one, other = await service.pods()
        timed = await service.create(f"http://{one.address}", timeout=500_000_000)
        orphan = await service.create(f"http://{one.address}", timeout=2_500_000_000)
        async with service.watch(f"http://{other.address}", timed["id"]) as watcher:
            ended = (await until_closed(watcher))[-1]
            assert watcher.close_code == 1000
        assert (ended["type"], ended["reason"]) == ("session_ended", "timed out")
        session = await service.read(f"http://{other.address}", timed["id"])
        assert (session["status"], session["reason"]) == ("stopped", "timed out")
        await service.target.act(Kill(one.name))
        survivor = f"http://{other.address}"
        await status_is(service, survivor, orphan["id"], "stopped")

        async def all_left() -> bool:
            keys = await service.keys()
            return not {key for key in keys if timed["id"] in key or orphan["id"] in key} - {
                f"fence:session:{timed['id']}",
                f"fence:session:{orphan['id']}",
            }

        await eventually(all_left, within_s=WITHIN_S, what="the ended sessions have left")
        assert (await service.http.get(f"{survivor}/api/sessions")).json() == []
        assert not await service.redis.exists("sessions:active", "sessions:due")


async def test_a_gadget_stopped_for_a_commit_that_never_came_ends_its_session(own_service: Service) -> None:
    service = own_service
    pod, _ = await service.pods()
    one = f"http://{pod.address}"
    made = await made_at(service, pod)
    await service.redis.set(f"lock:session:{made['id']}", "token of a holder that dies", px=500)
    stop = f"{one}/internal/sessions/{made['id']}/stop"
    answer = await service.http.post(stop, json={"token": "token of a holder that dies"})
    assert answer.status_code == 204
    await status_is(service, one, made["id"], "stopped")
    assert await service.delete(one, made["id"]) == 204


async def test_a_database_that_swallows_everything_holds_up_no_stream(own_service: Service) -> None:
    service = own_service
    one, other = await service.urls()
    made = await service.create(one, rate=100)
    for pod in await service.pods():
        await service.target.act(Link(pod.name, "postgres", "blackhole"))
    async with service.watch(other, made["id"], "?after=0") as watcher:
        received = await messages(watcher, 100)
    assert [m["seq"] for m in received] == list(range(100))

    async def refused() -> bool:
        return (await service.http.get(f"{one}/api/events", timeout=20)).status_code == 503

    await eventually(refused, within_s=30, what="the search is refused")
    assert await service.delete(other, made["id"]) == 204
