"""What is appended once though its answer was lost; what waits while Redis is away, and what is said of the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from limpet.clock import eventually
from reference_backend import keys, scripts
from reference_backend.appender import OVERFLOWED, Appender, Feed
from reference_backend.messages import Observed
from reference_backend.settings import Settings

ID = "5f0f1f5e-0000-4000-8000-000000000003"
EPOCH = 7


class DeafRedis(Redis):
    """Carries out the next pipeline and loses its answer."""

    deaf = False

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:  # noqa: FBT001,FBT002 - redis-py's
        pipe = super().pipeline(transaction, shard_hint)
        execute = pipe.execute

        async def answer_lost(raise_on_error: bool = True) -> Any:  # noqa: FBT001,FBT002 - redis-py's
            answers = await execute(raise_on_error)
            if self.deaf:
                self.deaf = False
                raise RedisConnectionError("the answer is lost")
            return answers

        pipe.execute = answer_lost  # type: ignore[method-assign]  # what is lost is the test's choice
        return pipe


async def test_events_that_come_while_an_answer_is_lost_are_appended_after_those_sent_again(
    redis: Redis, valkey_port: int, settings: Settings
) -> None:
    await redis.set(keys.epoch(ID), EPOCH)
    deaf = DeafRedis(port=valkey_port)
    appender = Appender(deaf, settings, lambda _: None)
    running = asyncio.create_task(appender.run())
    feed = appender.open(ID, EPOCH, 0)
    feed.release()
    feed.offer(Observed(b"first ", b""))
    await asyncio.wait_for(feed.flushed(), 10)
    deaf.deaf = True
    feed.offer(Observed(b"second ", b""))

    async def lost() -> bool:
        return not deaf.deaf

    await eventually(lost, within_s=10, what="an answer is lost")
    feed.offer(Observed(b"third ", b""))
    await asyncio.wait_for(feed.flushed(), 10)
    assert feed.complete
    entries: Any = await redis.xrange(keys.events(ID))
    assert [fields[b"message"] for _, fields in entries] == [b"first 1", b"second 2", b"third 3"]
    running.cancel()
    await asyncio.wait([running])
    await deaf.aclose()


def seen(n: int, size: int = 0) -> Observed:
    return Observed(b'{"type":"event","seq":', b',"n":%d,"padding":"%b"}' % (n, b"x" * size))


@contextlib.asynccontextmanager
async def appending(redis: Redis, settings: Settings, **changes: int) -> AsyncIterator[Appender]:
    """An appender that begins to send when the block is left."""
    await redis.set(keys.epoch(ID), EPOCH)
    appender = Appender(redis, settings.model_copy(update=changes), lambda _: None)
    yield appender
    running = asyncio.create_task(appender.run())

    async def all_sent() -> bool:
        return not appender._ready

    await eventually(all_sent, within_s=10, what="all is sent")
    running.cancel()
    await asyncio.wait([running])


async def stream(redis: Redis) -> list[dict[str, Any]]:
    entries: Any = await redis.xrange(keys.events(ID))
    return [msgspec.json.decode(fields[b"message"]) for _, fields in entries]


BOUNDS = [{"pending_events": 3}, {"pending_bytes": 3 * 140}, {"waiting_bytes": 3 * 140}]


@pytest.mark.parametrize("bound", BOUNDS)
async def test_what_overflows_is_announced_though_nothing_comes_after_it(
    redis: Redis, settings: Settings, bound: dict[str, int]
) -> None:
    async with appending(redis, settings, **bound) as appender:
        feed = appender.open(ID, EPOCH, 0)
        feed.release()
        for n in range(1, 8):
            feed.offer(seen(n, size=90))
        assert not feed.complete
    *kept, announced = await stream(redis)
    assert [message["n"] for message in kept] == [1, 2, 3]
    assert (announced["seq"], announced["type"], announced["reason"]) == (4, "interruption", OVERFLOWED)
    assert announced["since"] <= announced["until"]
    assert (feed.complete, appender.dropped, appender.waiting_bytes) == (True, 4, 0)


@pytest.mark.parametrize("bound", [{"pending_events": 7}, {"pending_bytes": 7 * 140}, {"waiting_bytes": 7 * 140}])
async def test_what_fits_is_all_kept(redis: Redis, settings: Settings, bound: dict[str, int]) -> None:
    async with appending(redis, settings, **bound) as appender:
        feed = appender.open(ID, EPOCH, 0)
        feed.release()
        for n in range(1, 8):
            feed.offer(seen(n, size=90))
    assert [message["n"] for message in await stream(redis)] == list(range(1, 8))
    assert appender.dropped == 0


async def test_what_is_refused_waits_no_longer(redis: Redis, settings: Settings) -> None:
    async with appending(redis, settings) as appender:
        feed = appender.open(ID, EPOCH, 0)
        feed.offer(seen(1))
        assert appender.waiting_bytes > 0
        feed.refuse("stopped")
        assert appender.waiting_bytes == 0


async def feed_after(appender: Appender, redis: Redis) -> Feed:
    """A feed that has appended one event and has nothing more to say."""
    feed = appender.open(ID, EPOCH, 0)
    feed.release()
    feed.offer(seen(1))
    await appender._send([feed])
    assert feed.seq == await redis.xlen(keys.events(ID)) == 1
    return feed


async def test_a_feed_that_has_nothing_to_say_notices_that_redis_lost_its_last_event(
    redis: Redis, settings: Settings
) -> None:
    lost: list[Feed] = []
    async with appending(redis, settings) as appender:
        await redis.script_load(scripts.APPEND.body)
        appender.on_end_lost = lost.append
        feed = await feed_after(appender, redis)
        await redis.delete(keys.events(ID))
        appender.verify()
    assert lost == [feed]
    feed.offer(seen(2))
    assert (len(feed.pending), bool(appender._ready)) == (1, False)


async def test_a_feed_whose_stream_is_what_it_was_goes_on(redis: Redis, settings: Settings) -> None:
    lost: list[Feed] = []
    async with appending(redis, settings) as appender:
        await redis.script_load(scripts.APPEND.body)
        appender.on_end_lost = lost.append
        feed = await feed_after(appender, redis)
        appender.verify()
    assert not lost
    assert feed.seq == 1


async def test_what_may_have_been_seen_before_it_was_lost_is_not_repeated(redis: Redis, settings: Settings) -> None:
    async with appending(redis, settings) as appender:
        await redis.script_load(scripts.APPEND.body)
        feed = await feed_after(appender, redis)
        feed.offer(seen(2))
        feed.asked = feed.doubted = 1  # sent, and the answer was lost
        feed.offer(seen(3))
        await redis.delete(keys.events(ID))
    assert [observed.tail for observed in feed.pending] == [seen(3).tail]
