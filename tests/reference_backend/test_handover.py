"""Moving sessions on purpose: by a drain, by a client, to even out. Their watchers do not notice."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from backend.owners import CALM, all_run, announced, interruptions, made_at, owner_becomes, runs, url_of
from backend.service import WITHIN_S, Service, messages, running_service, until_closed

from limpet.clock import eventually
from limpet.targets.base import Delete, Scale
from reference_backend.balance import moves


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Two replicas with leases that only a test ends."""
    async with running_service(tmp_path_factory.mktemp("two"), replicas=2, **CALM) as service:
        yield service


async def migrate(service: Service, url: str, session_id: str, to: str) -> tuple[int, dict[str, object]]:
    answer = await service.http.post(f"{url}/api/sessions/{session_id}/migrate", json={"to": to})
    return answer.status_code, answer.json()


async def test_a_session_migrates_there_and_back_and_its_watchers_do_not_notice(two: Service) -> None:
    one, other = await two.pods()
    made = await made_at(two, one, rate=100)
    async with two.watch(url_of(other), made["id"], "?after=0") as watcher:
        received = await messages(watcher, 20)
        epoch = made["epoch"]
        for asked, to in ((one, other), (one, one), (other, other), (other, other), (other, one)):
            status, session = await migrate(two, url_of(asked), made["id"], to.instance)
            assert status == 200
            assert session["owner"] == to.instance
            assert int(str(session["epoch"])) >= epoch
            epoch = int(str(session["epoch"]))
            await owner_becomes(two, url_of(one), made["id"], [to.instance])
            received += await messages(watcher, 20)
    assert interruptions(received) == []
    assert [m["data"]["n"] for m in received if m["type"] == "event"] == list(range(1, len(received)))
    assert await two.delete(url_of(other), made["id"]) == 204
    assert await runs(two, url_of(one), made["id"]) == []


async def test_a_migration_that_cannot_be_is_refused_with_the_reason(two: Service) -> None:
    one, other = await two.pods()
    nobody = "00000000-0000-4000-8000-000000000000"
    status, answer = await migrate(two, url_of(one), nobody, other.instance)
    assert (status, answer["error"]["field"]) == (404, "id")  # type: ignore[index]
    made = await made_at(two, one)
    status, answer = await migrate(two, url_of(one), made["id"], nobody)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (404, "no_instance", "to")  # type: ignore[index]
    answer_to_nonsense = await two.http.post(f"{url_of(one)}/api/sessions/{made['id']}/migrate", json={"at": 1})
    assert answer_to_nonsense.status_code == 400
    assert (await two.read(url_of(one), made["id"]))["owner"] == one.instance
    ended = await two.create(url_of(one), type="snapshot_process")
    async with two.watch(url_of(one), ended["id"], "?after=0") as watcher:
        await until_closed(watcher)
    status, answer = await migrate(two, url_of(one), ended["id"], other.instance)
    assert (status, answer["error"]["code"]) == (422, "ended")  # type: ignore[index]
    assert [await two.delete(url_of(one), one_["id"]) for one_ in (made, ended)] == [204, 204]


async def test_new_sessions_go_where_the_least_is_done(two: Service) -> None:
    one, other = await two.pods()
    made = [await two.create(url_of(one), rate=1) for _ in range(20)]
    sessions = [await owner_becomes(two, url_of(one), s["id"], [one.instance, other.instance]) for s in made]
    owned = [sum(s["owner"] == pod.instance for s in sessions) for pod in (one, other)]
    assert abs(owned[0] - owned[1]) <= 4
    logs = {pod.instance: await two.target.log(pod.name) for pod in (one, other)}
    for session in sessions:
        where = [i for i, log in logs.items() if f"Started gadget trace_tcp for session {session['id']}" in log]
        assert where == [session["owner"]]
    assert [await two.delete(url_of(other), s["id"]) for s in made] == [204] * 20


async def test_rebalancing_moves_the_least_and_evens_out(two: Service) -> None:
    one, other = await two.pods()
    made = [await made_at(two, one, rate=20) for _ in range(9)]
    answer = await two.http.post(f"{url_of(other)}/api/instances/rebalance")
    moved = answer.json()["moved"]
    assert {(m["source"], m["target"]) for m in moved} == {(one.instance, other.instance)}
    assert len(moved) == 4
    running = await two.running(url_of(one))
    assert [len(running[pod.instance]) for pod in (one, other)] == [5, 4]
    assert (await two.http.post(f"{url_of(one)}/api/instances/rebalance")).json() == {"moved": []}
    assert [await two.delete(url_of(one), s["id"]) for s in made] == [204] * 9


@pytest.mark.parametrize(
    ("counts", "moved"),
    [
        ({}, 0),
        ({"a": 7}, 0),
        ({"a": 3, "b": 3, "c": 4}, 0),
        ({"a": 10, "b": 0}, 5),
        ({"a": 0, "b": 9, "c": 0}, 6),
        ({"a": 5, "b": 1, "c": 5, "d": 0}, 4),
    ],
)
def test_the_fewest_moves_even_out(counts: dict[str, int], moved: int) -> None:
    found = moves(counts)
    assert sum(count for _, _, count in found) == moved
    for source, target, count in found:
        counts[source] -= count
        counts[target] += count
    assert not counts or max(counts.values()) - min(counts.values()) <= 1


async def test_a_drain_hands_over_a_hundred_sessions_without_an_interruption(two: Service) -> None:
    leaving, other = await two.pods()
    made = [await two.create(url_of(leaving), rate=10) for _ in range(100)]
    watched = [await made_at(two, leaving, rate=100) for _ in range(5)]
    watchers = [await two.watch(url_of(other), s["id"], "?after=0") for s in watched]
    at_leaving = await two.watch(url_of(leaving), watched[0]["id"])
    received = [await messages(watcher, 10) for watcher in watchers]
    deletion = asyncio.create_task(two.target.act(Delete(leaving.name)))
    meanwhile = [await two.http.get(f"{url_of(other)}/api/sessions") for _ in range(20)]
    assert {answer.status_code for answer in meanwhile} == {200}
    await until_closed(at_leaving)
    assert at_leaving.close_code == 1012
    await deletion
    log = await two.target.log(leaving.name)
    assert "Stopping took too long" not in log
    assert "Stopped" in log.splitlines()[-1]
    assert not {key for key in await two.keys() if leaving.instance in key}
    assert leaving.instance not in await two.redis.zrange("instances", 0, -1)
    for n, watcher in enumerate(watchers):
        received[n] += await messages(watcher, 30)
        await watcher.close()
        assert interruptions(received[n]) == []
        events = [m for m in received[n] if m["type"] == "event"]
        assert [e["data"]["n"] for e in events] == list(range(1, len(events) + 1))
    await all_run(two, url_of(other), {session["id"] for session in made + watched})
    for session in made + watched:
        assert await announced(two, session["id"]) == 0
    codes = [await two.delete(url_of(other), s["id"]) for s in made + watched]
    assert codes == [204] * len(codes)


async def test_a_replica_that_leaves_answers_and_starts_new_sessions_elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("leaving")
    async with running_service(folder, replicas=2, **CALM) as service:
        stays, leaves = await service.pods()
        coming = asyncio.create_task(_requests(service, url_of(leaves)))
        scaling = asyncio.create_task(service.target.act(Scale(1)))

        async def not_ready() -> bool:
            return (await service.http.get(f"{url_of(leaves)}/ready")).status_code == 503

        await eventually(not_ready, within_s=WITHIN_S, what="it is not ready any more")
        made = [await service.create(url_of(leaves), rate=5) for _ in range(5)]
        assert {s["owner"] for s in made} == {stays.instance}
        async with service.watch(url_of(leaves), made[0]["id"]) as watcher:
            await messages(watcher, 1)
            coming.cancel()
            received = await until_closed(watcher)
            assert watcher.close_code == 1012
        assert "error" not in {message["type"] for message in received}
        await scaling
        for session in made:
            await owner_becomes(service, url_of(stays), session["id"], [stays.instance])
        status, answer = await migrate(service, url_of(stays), made[0]["id"], leaves.instance)
        assert (status, answer["error"]["code"]) == (404, "no_instance")  # type: ignore[index]


async def _requests(service: Service, url: str) -> None:
    """Clients whose ingress has not heard of it yet."""
    while True:
        assert (await service.http.get(f"{url}/api/gadgets")).status_code == 200
        await asyncio.sleep(0.05)
