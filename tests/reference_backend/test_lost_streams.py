"""Redis lost the end of a stream, or a whole session, or nothing: what watchers, owners and the history make of it."""

import asyncio
from typing import Any

import pytest
from backend.owners import interruptions, made_at, runs, url_of
from backend.service import WITHIN_S, Service, messages
from websockets.asyncio.client import ClientConnection

from limpet.clock import eventually
from limpet.links.switches import Switch
from limpet.targets.base import Link, Restart

LOSE_AFTER = """
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+')) do redis.call('XDEL', KEYS[1], entry[1]) end
return redis.call('XLEN', KEYS[1])
"""


async def until_told(watcher: ClientConnection, more: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is still to come of the first stream, and what comes then: `subscribed`, and so many more."""
    received = await messages(watcher, 1)
    async with asyncio.timeout(WITHIN_S):
        while received[-1]["type"] != "subscribed":
            received += await messages(watcher, 1)
    return received[:-1], [received[-1], *await messages(watcher, more)]


def counts(stream: list[dict[str, Any]]) -> list[int]:
    return [message["data"]["n"] for message in stream if message["type"] == "event"]


async def recorded(service: Service, url: str, session_id: str, stream: str = "") -> list[dict[str, Any]]:
    answer = await service.http.get(
        f"{url}/api/sessions/{session_id}/events?limit=10000{stream and f'&stream={stream}'}"
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


@pytest.mark.parametrize("kept", [0, 5])
async def test_when_redis_lost_the_end_of_a_stream_another_begins_and_all_watchers_are_told(
    own_service: Service, kept: int
) -> None:
    service = own_service
    owner, other = await service.pods()
    made = await made_at(service, owner, rate=100)
    async with (
        service.watch(url_of(owner), made["id"], "?after=0") as near,
        service.watch(url_of(other), made["id"], "?after=0") as far,
    ):
        begun = [await messages(watcher, 30) for watcher in (near, far)]
        assert await service.redis.eval(LOSE_AFTER, 1, f"events:{made['id']}", f"{kept + 1}-0") == kept
        told = [await until_told(watcher, 30) for watcher in (near, far)]
    for (before, *received), (rest, (subscribed, first, *following)) in zip(begun, told, strict=True):
        former = [before, *received, *rest]
        assert subscribed["stream"] > before["stream"]
        assert (subscribed["seq"], subscribed["recovered"]) == (0, False)
        assert (first["type"], first["seq"], first["reason"]) == ("interruption", 1, "Redis lost events")
        assert interruptions([first, *following]) == [first]
        assert counts(following)[0] > counts(former)[-1]
    session = await service.read(url_of(other), made["id"])
    assert (session["status"], session["owner"]) == ("running", owner.instance)
    assert session["epoch"] > made["epoch"]
    assert await service.delete(url_of(other), made["id"]) == 204


async def test_the_history_keeps_both_streams_apart_and_says_what_neither_has(own_service: Service) -> None:
    service = own_service
    owner, other = await service.pods()
    made = await made_at(service, owner, rate=100)
    async with service.watch(url_of(other), made["id"], "?after=0") as watcher:
        subscribed, *_ = await messages(watcher, 60)
        events = f"events:{made['id']}"
        await service.redis.delete(events)
        _, (again, *_) = await until_told(watcher, 20)
    first, second = subscribed["stream"], again["stream"]
    assert await service.delete(url_of(other), made["id"]) == 204

    async def complete() -> bool:
        found = await recorded(service, url_of(owner), made["id"], first)
        return bool(found) and found[-1]["type"] in ("gap", "event") and not await service.redis.keys(f"{events}:*")

    await eventually(complete, within_s=WITHIN_S, what="what was left is recorded")
    former, latter = [await recorded(service, url_of(owner), made["id"], stream) for stream in (first, second)]
    assert {message["stream"] for message in former} == {first}
    position = 0
    for message in former:
        assert (message["from"] if message["type"] == "gap" else message["seq"]) == position + 1
        position = message["to"] if message["type"] == "gap" else message["seq"]
    assert position >= 59
    assert [message["seq"] for message in latter] == list(range(1, len(latter) + 1))
    assert (latter[0]["type"], latter[-1]["type"]) == ("interruption", "session_ended")
    whole = await recorded(service, url_of(owner), made["id"])
    assert whole == former + latter
    figures = (await service.http.get(f"{url_of(owner)}/api/sessions/{made['id']}/events/stats")).json()
    lost = [message for message in former if message["type"] == "gap"]
    assert figures["lost"] == sum(gap["to"] - gap["from"] + 1 for gap in lost)
    assert figures["streams"] == [first, second]


async def test_a_place_in_a_stream_that_is_over_is_not_recovered_in_the_next(own_service: Service) -> None:
    service = own_service
    owner, other = await service.pods()
    made = await made_at(service, owner, rate=100)
    async with service.watch(url_of(other), made["id"], "?after=0") as watcher:
        subscribed, *_ = await messages(watcher, 30)
        await service.redis.delete(f"events:{made['id']}")
        _, (again, *following) = await until_told(watcher, 30)
    for after in (3, 20):
        query = f"?stream={subscribed['stream']}&after={after}"
        async with service.watch(url_of(owner), made["id"], query) as watcher:
            told, first, *_ = await messages(watcher, 5)
        assert (told["stream"], told["recovered"], told["seq"]) == (again["stream"], False, 0)
        assert first == following[0]
    async with service.watch(url_of(owner), made["id"], f"?stream={again['stream']}&after=3") as watcher:
        told, first, *_ = await messages(watcher, 5)
    assert (told["recovered"], first) == (True, following[3])
    assert await service.delete(url_of(other), made["id"]) == 204


async def test_a_redis_that_was_killed_and_lost_nothing_changes_no_stream(own_service: Service) -> None:
    service = own_service
    owner, other = await service.pods()
    made = await made_at(service, owner, rate=100)
    async with service.watch(url_of(other), made["id"], "?after=0") as watcher:
        received = await messages(watcher, 30)
        await service.target.act(Restart("redis", hard=True))
        received += await messages(watcher, 150)
    assert interruptions(received) == []
    assert [message["type"] for message in received].count("subscribed") == 1
    assert counts(received) == list(range(1, len(received)))
    await service.pods()
    assert await service.delete(url_of(other), made["id"]) == 204


async def test_an_owner_stops_the_gadget_of_a_session_that_redis_lost_and_says_so(own_service: Service) -> None:
    service = own_service
    owner, other = await service.pods()
    made, kept = await made_at(service, owner, rate=20), await made_at(service, owner)
    silent = await service.create(url_of(owner), rate=0.001)
    lost = [made["id"], silent["id"]]
    async with service.watch(url_of(other), made["id"]) as watcher:
        await messages(watcher, 3)
        for i in lost:
            keys = (f"{name}:{i}" for name in ("session", "epoch", "stream", "events", "fence:session"))
            await service.redis.delete(*keys)
            await service.redis.srem("sessions:active", i)

        async def stopped() -> bool:
            return not any([await runs(service, url_of(other), i) for i in lost])

        await eventually(stopped, within_s=WITHIN_S, what="the gadgets of lost sessions have stopped")

    async def forgotten() -> bool:
        owned: list[Any] = [await service.redis.smembers(f"backend:{pod.instance}:sessions") for pod in (owner, other)]
        return not {*lost} & {i for ids in owned for i in ids}

    await eventually(forgotten, within_s=WITHIN_S, what="nobody owns them")
    said = await service.target.log(owner.name) + await service.target.log(other.name)
    assert all(any(i in line and "WARNING" in line for line in said.splitlines()) for i in lost)
    assert await runs(service, url_of(other), kept["id"]) == [owner.instance]
    assert await service.delete(url_of(other), kept["id"]) == 204


async def test_what_was_trimmed_and_never_recorded_is_one_gap_between_history_and_redis(own_service: Service) -> None:
    service = own_service
    owner, other = await service.pods()
    made = await made_at(service, owner, rate=200)
    async with service.watch(url_of(owner), made["id"], "?after=0") as watcher:
        await messages(watcher, 20)
    early = await recorded(service, url_of(owner), made["id"])
    return_to = early[-1]["seq"]
    await _database(service, "cut")
    async with service.watch(url_of(owner), made["id"], f"?after={return_to}") as watcher:
        await messages(watcher, 60)
    events = f"events:{made['id']}"
    await service.redis.xtrim(events, minid=f"{return_to + 51}-0", approximate=False)
    await _database(service, "pass")

    async def answers() -> list[dict[str, Any]]:
        answer = await service.http.get(f"{url_of(other)}/api/sessions/{made['id']}/events?limit=10000")
        found: list[dict[str, Any]] = answer.json() if answer.is_success else []
        return found

    found = await eventually(answers, within_s=WITHIN_S, what="the history answers")
    (gap,) = [message for message in found if message["type"] == "gap"]
    assert gap["from"] > return_to
    assert gap["to"] == return_to + 50
    figures = (await service.http.get(f"{url_of(other)}/api/sessions/{made['id']}/stats")).json()
    assert figures["lost"] == gap["to"] - gap["from"] + 1
    assert figures["gaps"] == [{"stream": gap["stream"], "from": gap["from"], "to": gap["to"]}]
    await service.redis.xtrim(events, minid=f"{return_to + 55}-0", approximate=False)
    async with service.watch(url_of(other), made["id"], "?after=3") as watcher:
        subscribed, *following = await messages(watcher, return_to + 30)
    assert (subscribed["seq"], subscribed["recovered"]) == (3, False)
    assert [m["type"] for m in following].count("gap") == 1
    position = 3
    for message in following:
        assert (message["from"] if message["type"] == "gap" else message["seq"]) == position + 1
        position = message["to"] if message["type"] == "gap" else message["seq"]
    async with service.watch(url_of(other), made["id"], f"?after={gap['to']}") as watcher:
        subscribed, *following = await messages(watcher, 10)
    assert subscribed["recovered"]
    assert [message["seq"] for message in following] == list(range(gap["to"] + 1, gap["to"] + 10))
    assert await service.delete(url_of(other), made["id"]) == 204


async def _database(service: Service, switch: Switch) -> None:
    for pod in await service.target.pods():
        await service.target.act(Link(pod.name, "postgres", switch))
