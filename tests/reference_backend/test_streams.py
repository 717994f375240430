"""Streams over WebSocket, through two replicas of a whole stack."""

import asyncio
import uuid

import pytest
from backend.service import TIMING, WITHIN_S, Service, messages, until_closed
from websockets.exceptions import ConnectionClosed, InvalidStatus

from limpet.clock import eventually


async def test_watchers_at_both_replicas_get_the_same_events_in_order(service: Service) -> None:
    urls = await service.urls()
    made = await service.create(urls[0])
    async with service.watch(urls[0], made["id"]) as one, service.watch(urls[1], made["id"]) as other:
        received = [await messages(one, 30), await messages(other, 30)]
    await service.delete(urls[0], made["id"])
    for subscribed, *events in received:
        assert subscribed["type"] == "subscribed"
        assert [event["seq"] for event in events] == list(range(subscribed["seq"] + 1, subscribed["seq"] + 30))
    shared = {event["seq"]: event for event in received[0][1:]}
    both = [event for event in received[1][1:] if event["seq"] in shared]
    assert both
    assert all(shared[event["seq"]] == event for event in both)


async def test_the_source_counts_on_a_clock_and_never_twice(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, rate=200)
    async with service.watch(other, made["id"], "?after=0") as watcher:
        events = (await messages(watcher, 101))[1:]
    await service.delete(one, made["id"])
    assert [event["data"]["n"] for event in events] == list(range(1, 101))
    assert {event["eventType"] for event in events} == {"tcp"}


async def test_a_watcher_that_comes_back_anywhere_gets_everything_once(service: Service) -> None:
    urls = await service.urls()
    made = await service.create(urls[0], rate=200)
    seqs: list[int] = []
    stream, after = "", 0
    for turn in range(6):
        query = f"?stream={stream}&after={after}" if turn else "?after=0"
        async with service.watch(urls[turn % 2], made["id"], query) as watcher:
            subscribed, *events = await messages(watcher, 20)
        assert (subscribed["recovered"], subscribed["seq"]) == (True, after)
        stream, after = subscribed["stream"], events[-1]["seq"]
        seqs += [event["seq"] for event in events]
    await service.delete(urls[0], made["id"])
    assert seqs == list(range(1, 6 * 19 + 1))


async def test_a_resume_that_cannot_be_granted_says_so_and_goes_on_from_the_oldest(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one)
    for query in ("?stream=01OTHER&after=3", "?after=1000000"):
        async with service.watch(other, made["id"], query) as watcher:
            subscribed, first = await messages(watcher, 2)
        assert (subscribed["recovered"], subscribed["seq"], first["seq"]) == (False, 0, 1)
    await service.delete(one, made["id"])


async def test_the_end_of_a_session_closes_its_watchers_and_can_still_be_read(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one)
    async with service.watch(one, made["id"]) as near, service.watch(other, made["id"]) as far:
        await messages(near, 2)
        await messages(far, 2)
        assert await service.delete(other, made["id"]) == 204
        ends = [[m async for m in watcher][-1] for watcher in (near, far)]
        assert (near.close_code, far.close_code) == (1000, 1000)
    assert all('"session_ended"' in str(end) for end in ends)
    async with service.watch(one, made["id"], "?after=0") as late:
        everything = [m async for m in late]
        assert late.close_code == 1000
    assert everything[-1] == ends[0]


async def test_a_watcher_of_an_ended_session_that_asks_for_nothing_past_gets_its_end(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one)
    await service.delete(one, made["id"])
    async with service.watch(other, made["id"]) as late:
        received = [m async for m in late]
    assert len(received) == 2
    assert '"session_ended"' in str(received[-1])


@pytest.mark.parametrize("name", [str(uuid.UUID(int=1)), "not-a-uuid", "%00", "%ff"])
async def test_a_session_that_never_was_is_4404(service: Service, name: str) -> None:
    url = (await service.urls())[0]
    async with service.watch(url, name) as watcher:
        assert "not_found" in str(await watcher.recv())
        with pytest.raises(ConnectionClosed) as closed:
            await watcher.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=" + "9" * 40, "stream=a%00&after=1", "after="])
async def test_a_position_that_is_none_is_refused_at_the_handshake(service: Service, query: str) -> None:
    pod = (await service.pods())[0]
    with pytest.raises(InvalidStatus) as refused:
        async with service.watch(f"http://{pod.address}", str(uuid.UUID(int=1)), f"?{query}"):
            pytest.fail("the handshake went through")
    assert refused.value.response.status_code == 400
    assert refused.value.response.headers["X-Backend-Instance"] == pod.instance


async def test_the_handshake_names_the_replica(service: Service) -> None:
    pod = (await service.pods())[1]
    made = await service.create(f"http://{pod.address}")
    async with service.watch(f"http://{pod.address}", made["id"]) as watcher:
        assert watcher.response is not None
        assert watcher.response.headers["X-Backend-Instance"] == pod.instance
    await service.delete(f"http://{pod.address}", made["id"])


async def test_what_a_client_says_changes_nothing_and_too_large_a_frame_is_1009(service: Service) -> None:
    url = (await service.urls())[0]
    made = await service.create(url)
    async with service.watch(url, made["id"]) as watcher:
        for said in ("{}", "\0", "[" * 10_000, b"\xff\xfe", ""):
            await watcher.send(said)
        assert [m["type"] for m in await messages(watcher, 3)] == ["subscribed", "event", "event"]
        await watcher.send("x" * 100_000)
        with pytest.raises(ConnectionClosed) as closed:
            await messages(watcher, 100_000)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert await service.delete(url, made["id"]) == 204


async def test_a_slow_reader_is_closed_with_4408_and_resumes_without_a_loss(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, rate=200, size=60_000)
    async with service.watch(other, made["id"], "?after=0") as watcher:
        watcher.transport.pause_reading()

        async def too_slow() -> bool:
            figures = (await service.http.get(f"{other}/metrics")).text
            return any(
                line.startswith("backend_watchers_too_slow_total{") and not line.endswith(" 0.0")
                for line in figures.splitlines()
            )

        await eventually(too_slow, within_s=20, what="the slow watcher is closed")
        watcher.transport.resume_reading()
        received = await until_closed(watcher)
        assert watcher.close_code == 4408
    last = received[-1]["seq"]
    async with service.watch(one, made["id"], f"?stream={received[0]['stream']}&after={last}") as watcher:
        subscribed, following = await messages(watcher, 2)
    await service.delete(one, made["id"])
    assert (subscribed["recovered"], following["seq"]) == (True, last + 1)


async def test_the_key_names_a_replica_with_an_open_websocket_until_the_last_one_closes(service: Service) -> None:
    one, other = await service.pods()
    made = await service.create(f"http://{one.address}")
    key = f"ws:{made['id']}"

    async def named(instance: str | None) -> None:
        async def is_named() -> bool:
            return await service.redis.get(key) == instance

        await eventually(is_named, within_s=WITHIN_S, what=f"{key} is {instance}")

    first = await service.watch(f"http://{one.address}", made["id"])
    await messages(first, 1)
    assert await service.redis.get(key) == one.instance
    assert 0 < await service.redis.pttl(key) <= TIMING["heartbeat_ttl_s"] * 1000
    second = await service.watch(f"http://{other.address}", made["id"])
    await messages(second, 1)
    third = await service.watch(f"http://{other.address}", made["id"])
    await messages(third, 1)
    await third.close()
    await first.close()
    await named(other.instance)
    await asyncio.sleep(1.5)  # longer than a replica's word lives unless it is renewed
    assert await service.redis.get(key) == other.instance
    fourth = await service.watch(f"http://{one.address}", made["id"])
    await messages(fourth, 1)
    await second.close()  # a late close of one replica
    await named(one.instance)
    await fourth.close()
    await named(None)
    await service.delete(f"http://{one.address}", made["id"])
