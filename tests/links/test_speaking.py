"""A Redis link holds back what it is told to, cuts behind a command, and knows which reply belongs to what."""

import asyncio
from typing import Any

import pytest
from links.speaking import Speaking
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from limpet.clock import eventually
from limpet.errors import LimpetError
from limpet.links import gate
from limpet.links.log import Exchange, Lost
from limpet.links.switches import CutAfterCommand, Hold

POD = "backend-1"
SILENT_S = 0.3


def exchanges(records: list[Exchange | Lost], *names: str) -> list[Exchange]:
    wanted = {name.encode() for name in names}
    found = [one for one in records if isinstance(one, Exchange) and (not wanted or one.words[0] in wanted)]
    return sorted(found, key=lambda one: (one.connection, one.place))


async def test_the_command_that_is_held_does_not_reach_the_server_and_others_do(redis_links: Speaking) -> None:
    await redis_links.links.set(POD, "redis", Hold(("lock:*",), nth=2))
    async with redis_links.redis(POD) as pod, redis_links.redis() as past:
        assert await pod.set("lock:a", "1", nx=True)
        held = asyncio.ensure_future(pod.delete("lock:a"))
        assert await pod.set("other", "2")  # by another connection
        await asyncio.wait([held], timeout=SILENT_S)
        assert not held.done()
        assert await past.get("lock:a") == b"1"
        await redis_links.links.set(POD, "redis", "pass")
        assert await held == 1
        assert await past.get("lock:a") is None


async def test_the_first_command_that_is_held_is_told_of_and_no_other(redis_links: Speaking) -> None:
    told: list[gate.Event] = []
    redis_links.links.told = told.append
    await redis_links.links.set(POD, "redis", Hold(("lock:*",), nth=2))
    async with redis_links.redis(POD) as pod:
        await pod.set("lock:a", "1")
        assert not told
        held = [asyncio.ensure_future(pod.delete("lock:a")), asyncio.ensure_future(pod.exists("lock:a"))]
        await asyncio.wait(held, timeout=SILENT_S)
        assert [type(event) for event in told] == [gate.Kept]
        await redis_links.links.set(POD, "redis", "pass")
        await asyncio.gather(*held)


async def test_what_was_held_reaches_the_server_after_its_client_has_gone(redis_links: Speaking) -> None:
    await redis_links.links.set(POD, "redis", Hold(("lock:*",)))
    reader, writer = await redis_links.raw(POD)
    writer.write(b"SET lock:a mine\r\n")
    await writer.drain()
    writer.close()
    async with redis_links.redis() as past:

        async def there() -> bool:
            return bool(await past.get("lock:a") == b"mine")

        await asyncio.sleep(SILENT_S)  # time for it to get through, were it not held
        assert not await there()
        await redis_links.links.set(POD, "redis", "pass")
        await eventually(there, within_s=10, what="the command of a client that left")
    assert not await reader.read()


@pytest.mark.parametrize("cut", range(1, 40, 3))
async def test_a_held_command_is_held_however_its_bytes_come(redis_links: Speaking, cut: int) -> None:
    data = b"*2\r\n$4\r\nINCR\r\n$4\r\nfree\r\n*2\r\n$4\r\nINCR\r\n$6\r\nlock:a\r\n*2\r\n$4\r\nINCR\r\n$4\r\nlate\r\n"
    await redis_links.links.set(POD, "redis", Hold(("lock:*",)))
    reader, writer = await redis_links.raw(POD)
    writer.write(data[:cut])
    await writer.drain()
    await asyncio.sleep(0.01)  # so that the relay reads twice
    writer.write(data[cut:])
    assert await asyncio.wait_for(reader.readexactly(4), 10) == b":1\r\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)
    await redis_links.links.set(POD, "redis", "pass")
    assert await asyncio.wait_for(reader.readexactly(8), 10) == b":1\r\n:1\r\n"
    writer.close()


async def test_the_reply_behind_which_is_cut_never_comes_and_earlier_ones_do(redis_links: Speaking) -> None:
    await redis_links.links.set(POD, "redis", CutAfterCommand(("count:*",)))
    async with redis_links.traced() as records:
        reader, writer = await redis_links.raw(POD)
        writer.write(b"PING\r\nINCR other\r\nINCR count:a\r\nINCR late\r\n")
        assert await asyncio.wait_for(reader.readexactly(11), 10) == b"+PONG\r\n:1\r\n"
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 10)
        async with redis_links.redis() as past:
            assert await past.get("count:a") == b"1"
    outcomes = {one.words[-1]: one.outcome for one in exchanges(records)}
    assert outcomes[b"count:a"] == "undelivered"
    assert outcomes[b"other"] == "replied"


async def test_it_is_cut_once(redis_links: Speaking) -> None:
    await redis_links.links.set(POD, "redis", CutAfterCommand(("LPUSH",)))
    async with redis_links.redis(POD) as pod:
        with pytest.raises(RedisConnectionError):
            await pod.lpush("list", "a")
        assert await pod.lpush("list", "b") == 2


async def _increased(pipe: Pipeline, *keys: str) -> None:
    for key in keys:
        pipe.incr(key)
    await pipe.execute()


async def test_a_transaction_is_cut_behind_its_exec(redis_links: Speaking) -> None:
    await redis_links.links.set(POD, "redis", CutAfterCommand(("count:*",)))
    async with redis_links.redis(POD) as pod, redis_links.redis() as past:
        with pytest.raises(RedisConnectionError):
            await _increased(pod.pipeline(transaction=True), "count:a", "other")
        assert await past.get("count:a") == b"1"


async def test_each_command_is_logged_with_its_reply(redis_links: Speaking) -> None:
    async with redis_links.traced() as records, redis_links.redis(POD) as pod:
        await pod.set("a", "x" * 1000)
        await pod.get("none")
        with pytest.raises(ResponseError):
            await pod.lpush("a", "1")
        await pod.eval("return {1, KEYS[1], false}", 1, "k")
    found = {one.words[0]: one for one in exchanges(records)}
    assert found[b"SET"].words[1:] == [b"a", b"x" * 256]
    assert (found[b"SET"].reply, found[b"GET"].reply, found[b"EVAL"].reply) == ("OK", None, [1, b"k", None])
    assert found[b"LPUSH"].reply["error"].startswith("WRONGTYPE")
    assert {one.outcome for one in found.values()} == {"replied"}
    assert all(0 < one.sent_ns <= one.replied_ns for one in found.values())
    assert {(one.pod, one.address.split(":")[0]) for one in found.values()} == {(POD, "127.64.0.1")}


async def test_queued_commands_have_the_replies_of_their_exec(redis_links: Speaking) -> None:
    async with redis_links.traced() as records, redis_links.redis(POD) as pod:
        pipe = pod.pipeline(transaction=True)
        pipe.set("a", "1")
        pipe.lpush("a", "x")
        pipe.incr("a")
        await pipe.execute(raise_on_error=False)
        reader, writer = await redis_links.raw(POD)
        writer.write(b"MULTI\r\nSET b 1\r\nDISCARD\r\nMULTI\r\nSET b 2\r\nNOSUCH\r\nEXEC\r\nPING\r\n")
        while await asyncio.wait_for(reader.readline(), 10) != b"+PONG\r\n":
            pass
        writer.close()
    queued = [one for one in exchanges(records) if one.queued]
    replies: list[Any] = [one.reply for one in queued if not one.aborted]
    assert replies[0] == "OK"
    assert replies[1]["error"].startswith("WRONGTYPE")
    assert replies[2] == 2
    assert [one.words for one in queued if one.aborted] == [[b"SET", b"b", b"1"], [b"SET", b"b", b"2"]]


@pytest.mark.parametrize("resp", [2, 3])
async def test_what_is_pushed_is_taken_for_no_reply(redis_links: Speaking, resp: int) -> None:
    async with redis_links.traced() as records, redis_links.redis(POD, resp=resp) as pod, redis_links.redis() as past:
        async with pod.pubsub() as listener:
            for _ in range(3):
                await listener.subscribe("news", "more")
                await past.publish("news", "hello")
                await listener.unsubscribe()
                await listener.ping()
            while await listener.get_message(timeout=0.5):
                pass
        assert await pod.set("a", "1")
        blocked = asyncio.ensure_future(pod.blpop(["list"], timeout=10))
        await pod.get("a")
        await past.rpush("list", "x")
        assert await blocked
    assert not [one for one in records if isinstance(one, Lost)]
    assert {one.words[0]: one.reply for one in exchanges(records, "SET", "GET", "BLPOP")} == {
        b"SET": "OK",
        b"GET": b"1",
        b"BLPOP": [b"list", b"x"],
    }


async def test_what_cannot_be_followed_passes_and_is_told(redis_links: Speaking) -> None:
    async with redis_links.traced() as records:
        reader, writer = await redis_links.raw(POD)
        writer.write(b"CLIENT REPLY SKIP\r\nSET a 1\r\nCLIENT REPLY ON\r\nGET a\r\n")
        assert await asyncio.wait_for(reader.readexactly(12), 10) == b"+OK\r\n$1\r\n1\r\n"
        writer.close()
    assert [one.why for one in records if isinstance(one, Lost)] == ["CLIENT REPLY was asked for"]


async def test_a_switch_for_commands_is_refused_for_a_database(redis_links: Speaking) -> None:
    with pytest.raises(LimpetError, match="KeyError"):
        await redis_links.links.set(POD, "postgres", Hold(("lock:*",)))
