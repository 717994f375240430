"""A delayed link delivers all of it later and in order; a throttled one not faster than it may."""

import asyncio
import os
import time
from itertools import pairwise

import pytest
from links.speaking import Speaking
from links.upstream import Upstream, echoed

from limpet.clock import eventually
from limpet.errors import LimpetError
from limpet.links.switches import Delay, Flap, Hold, Throttle, decode, encode

DELAY_S = 0.3


async def took(upstream: Upstream, data: bytes) -> float:
    streams = await upstream.connect()
    began = time.monotonic()
    assert await echoed(streams, data, within_s=20)
    return time.monotonic() - began


@pytest.mark.parametrize(("way", "least_s"), [("there", DELAY_S), ("back", DELAY_S), ("both", 2 * DELAY_S)])
async def test_a_delayed_link_is_late_by_its_delay_in_each_of_its_ways(
    upstream: Upstream, way: str, least_s: float
) -> None:
    await upstream.links.set("backend-1", "redis", decode({"kind": "Delay", "delay_s": DELAY_S, "way": way}))
    assert least_s <= await took(upstream, b"PING") < least_s + 5


async def test_a_link_that_passes_again_is_not_late(upstream: Upstream) -> None:
    streams = await upstream.connect()
    await upstream.links.set("backend-1", "redis", Delay(60))
    streams[1].write(b"kept")
    await asyncio.wait([asyncio.ensure_future(streams[0].read(1))], timeout=0.2)
    await upstream.links.set("backend-1", "redis", "pass")
    assert await took(upstream, b"PING") < 10


async def test_what_was_delayed_comes_at_once_when_the_link_passes_again(upstream: Upstream) -> None:
    reader, writer = await upstream.connect()
    await upstream.links.set("backend-1", "redis", Delay(60))
    writer.write(b"kept")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    await upstream.links.set("backend-1", "redis", "pass")
    assert await asyncio.wait_for(reader.readexactly(4), 10) == b"kept"


async def test_jitter_never_changes_the_order(upstream: Upstream) -> None:
    reader, writer = await upstream.connect()
    await upstream.links.set("backend-1", "redis", Delay(0.05, jitter_s=0.05))
    parts = [b"%05d" % number for number in range(40)]
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.002)  # so that each is a piece of its own
    assert await asyncio.wait_for(reader.readexactly(200), 10) == b"".join(parts)


async def test_an_end_comes_behind_what_was_sent_before_it(upstream: Upstream) -> None:
    reader, writer = await upstream.connect()
    await upstream.links.set("backend-1", "redis", Delay(DELAY_S))
    writer.write(b"last words")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == b"last words"


async def test_a_client_that_leaves_is_still_heard(redis_links: Speaking) -> None:
    await redis_links.links.set("backend-1", "redis", Delay(DELAY_S))
    _, writer = await redis_links.raw("backend-1")
    writer.write(b"SET late 1\r\n")
    await writer.drain()
    writer.close()
    async with redis_links.redis() as past:

        async def heard() -> bool:
            return bool(await past.exists("late"))

        assert not await heard()
        await eventually(heard, within_s=10, what="the command of a client that left")


async def test_a_throttled_link_is_not_faster_than_it_may_be(upstream: Upstream) -> None:
    await upstream.links.set("backend-1", "redis", Throttle(100_000, way="there"))
    assert await took(upstream, os.urandom(50_000)) >= 0.45


async def test_a_link_that_is_not_throttled_in_this_way_is_faster(upstream: Upstream) -> None:
    await upstream.links.set("backend-1", "redis", Throttle(1_000, way="back"))
    reader, writer = await upstream.connect()
    writer.write(os.urandom(50_000))
    writer.write_eof()
    assert len(await asyncio.wait_for(reader.readexactly(100), 10)) == 100


async def test_a_flapping_link_is_cut_and_passes_in_turn(upstream: Upstream) -> None:
    await upstream.links.set("backend-1", "redis", Flap(up_s=0.3, down_s=0.3))
    seen: list[bool] = []

    async def both() -> bool:
        try:
            seen.append(await echoed(await upstream.connect(), b"PING"))
        except (ConnectionError, asyncio.IncompleteReadError):
            seen.append(False)
        changes = sum(one != other for one, other in pairwise(seen))
        return changes >= 3

    await eventually(both, within_s=20, what="a link that goes up and down")
    await upstream.links.set("backend-1", "redis", "pass")
    assert await echoed(await upstream.connect(), b"PING")


async def test_a_switch_that_there_is_not_is_told(upstream: Upstream) -> None:
    with pytest.raises(LimpetError, match="no switch"):
        await upstream.links.set("backend-1", "redis", "slow")  # type: ignore[arg-type]
    assert await echoed(await upstream.connect(), b"PING")


@pytest.mark.parametrize("switch", ["pass", "cut", Delay(1.5, 0.5, "back"), Hold(("lock:*",), 3), Flap(1, 2)])
def test_a_switch_survives_its_way_to_the_relay(switch: object) -> None:
    assert decode(encode(switch)) == switch  # type: ignore[arg-type]
