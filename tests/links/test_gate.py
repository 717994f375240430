"""At a gate commands that name a key stand until they are let through, one by one, and their replies are told."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest
import pytest_asyncio
from links.speaking import Speaking

from limpet.clock import eventually
from limpet.errors import LimpetError
from limpet.links.gate import Answered, Arrived, Event, Left, decode, encode
from limpet.links.log import Exchange
from limpet.links.switches import Gate

POD = "backend-1"
E = TypeVar("E", Arrived, Answered, Left)


class Porter:
    """What stands at the gates, and lets it through."""

    def __init__(self, there: Speaking) -> None:
        self.there = there
        self.events: list[Event] = []
        there.links.told = self.events.append

    async def until(self, kind: type[E], count: int = 1) -> list[E]:
        async def came() -> list[E] | None:
            found = [event for event in self.events if isinstance(event, kind)]
            return found if len(found) >= count else None

        return await eventually(came, within_s=10, what=f"{count} {kind.__name__}, of {self.events}")

    async def admit(self, arrived: Arrived) -> None:
        await self.there.links.admit(arrived.pod, arrived.ticket)


@pytest_asyncio.fixture
async def porter(redis_links: Speaking) -> AsyncIterator[Porter]:
    porter = Porter(redis_links)
    await redis_links.links.set(POD, "redis", Gate(("lock:*",)))
    yield porter
    redis_links.links.told = None


async def test_a_command_stands_at_the_gate_until_it_is_let_through_and_its_reply_is_told(porter: Porter) -> None:
    async with porter.there.redis(POD) as pod, porter.there.redis() as past:
        setting = asyncio.ensure_future(pod.set("lock:a", "1"))
        (arrived,) = await porter.until(Arrived)
        assert arrived.words == [b"SET", b"lock:a", b"1"]
        assert await pod.set("other", "1")  # another connection goes on
        assert not await past.exists("lock:a")
        await porter.admit(arrived)
        assert await asyncio.wait_for(setting, 10)
        (answered,) = await porter.until(Answered)
        assert (answered.ticket, answered.last) == (arrived.ticket, True)
        assert (answered.exchange.words, answered.exchange.reply) == ([b"SET", b"lock:a", b"1"], "OK")


async def test_each_is_let_through_by_itself(porter: Porter) -> None:
    async with porter.there.redis(POD) as pod, porter.there.redis() as past:
        both = [asyncio.ensure_future(pod.incr(f"lock:{name}")) for name in "ab"]
        first, second = await porter.until(Arrived, 2)
        await porter.admit(second)
        await porter.until(Answered)
        assert [await past.exists(first.words[1]), await past.exists(second.words[1])] == [0, 1]
        await porter.admit(first)
        assert await asyncio.gather(*both) == [1, 1]


async def test_what_comes_behind_on_a_connection_arrives_when_its_turn_comes(porter: Porter) -> None:
    reader, writer = await porter.there.raw(POD)
    writer.write(b"INCR lock:a\r\nINCR free\r\nINCR lock:b\r\n")
    (first,) = await porter.until(Arrived)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    await porter.admit(first)
    assert await asyncio.wait_for(reader.readexactly(8), 10) == b":1\r\n:1\r\n"
    _, second = await porter.until(Arrived, 2)
    assert second.words == [b"INCR", b"lock:b"]
    writer.close()


async def test_a_transaction_stands_there_as_one(porter: Porter) -> None:
    async with porter.there.redis(POD) as pod:
        pipe = pod.pipeline(transaction=True)
        pipe.incr("lock:a")
        pipe.incr("other")
        running = asyncio.ensure_future(pipe.execute())
        (arrived,) = await porter.until(Arrived)
        assert arrived.words == [b"EXEC"]
        await porter.admit(arrived)
        assert await asyncio.wait_for(running, 10) == [1, 1]
        answered = await porter.until(Answered, 3)
        assert [(one.exchange.words[0], one.last) for one in answered] == [
            (b"INCRBY", False),
            (b"INCRBY", False),
            (b"EXEC", True),
        ]
        assert {one.ticket for one in answered} == {arrived.ticket}


async def test_a_transaction_about_other_keys_passes(porter: Porter) -> None:
    async with porter.there.redis(POD) as pod:
        pipe = pod.pipeline(transaction=True)
        pipe.incr("other")
        assert await asyncio.wait_for(pipe.execute(), 10) == [1]


@pytest.mark.parametrize("words", [("SUBSCRIBE", "lock:a"), ("PUBLISH", "lock:a", "x"), ("BLPOP", "lock:a", "0.01")])
async def test_what_changes_nothing_or_blocks_passes(porter: Porter, words: tuple[str, ...]) -> None:
    reader, writer = await porter.there.raw(POD)
    writer.write(" ".join(words).encode() + b"\r\n")
    assert await asyncio.wait_for(reader.read(1), 10)
    assert porter.events == []
    writer.close()


async def test_what_stands_there_passes_when_the_gate_is_opened(porter: Porter) -> None:
    async with porter.there.redis(POD) as pod:
        setting = asyncio.ensure_future(pod.set("lock:a", "1"))
        await porter.until(Arrived)
        await porter.there.links.set(POD, "redis", "pass")
        assert await asyncio.wait_for(setting, 10)
        assert await asyncio.wait_for(pod.set("lock:b", "1"), 10)


async def test_what_another_gate_names_as_well_stays_there_and_other_passes(porter: Porter) -> None:
    async with porter.there.redis(POD) as pod:
        stays, goes = (asyncio.ensure_future(pod.incr(f"lock:{name}")) for name in ("stays", "goes"))
        arrived = {one.words[1]: one for one in await porter.until(Arrived, 2)}
        await porter.there.links.set(POD, "redis", Gate(("lock:stays",)))
        assert await asyncio.wait_for(goes, 10) == 1
        assert not stays.done()
        await porter.admit(arrived[b"lock:stays"])
        assert await asyncio.wait_for(stays, 10) == 1


async def test_a_connection_that_ends_there_is_told(porter: Porter) -> None:
    _, writer = await porter.there.raw(POD)
    writer.write(b"SET lock:a 1\r\n")
    (arrived,) = await porter.until(Arrived)
    await porter.there.links.close_pod(POD)
    (left,) = await porter.until(Left)
    assert left.ticket == arrived.ticket
    writer.close()


async def test_what_is_let_through_reaches_the_server_after_its_client_has_gone(porter: Porter) -> None:
    _, writer = await porter.there.raw(POD)
    writer.write(b"SET lock:a 1\r\n")
    (arrived,) = await porter.until(Arrived)
    writer.transport.abort()
    await porter.admit(arrived)
    async with porter.there.redis() as past:

        async def there() -> bool:
            return bool(await past.exists("lock:a"))

        await eventually(there, within_s=10, what="the command of a client that has gone")


async def test_a_gate_before_a_database_is_refused(redis_links: Speaking) -> None:
    with pytest.raises(LimpetError, match="KeyError"):
        await redis_links.links.set(POD, "postgres", Gate(("lock:*",)))


def test_events_survive_their_way_to_the_harness() -> None:
    exchange = Exchange(POD, "127.0.0.1:1", 1, 1, 1, 2, [b"GET", b"\xff"], [b"\xff", 1, None, {"error": "ERR"}])
    for event in (Arrived(POD, 7, [b"GET", b"\xff"]), Answered(POD, 7, exchange, last=True), Left(POD, 7)):
        assert decode(encode(event)) == event
