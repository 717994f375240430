"""A link relays all of it, in order, from the pod's address; its switches do what they say to both old and new."""

import asyncio
import os
import signal
import socket

import pytest
from links.upstream import SOURCE, Upstream, echoed

from limpet.clock import eventually
from limpet.errors import LimpetError
from limpet.links.connection import LINGER_RESET

SILENT_S = 0.3


async def test_bytes_pass_both_ways_and_come_from_the_address_of_the_pod(upstream: Upstream) -> None:
    assert await echoed(await upstream.connect(), b"PING")
    assert upstream.sources == [SOURCE, SOURCE]


async def test_what_is_sent_faster_than_it_is_taken_arrives_whole(upstream: Upstream) -> None:
    data = os.urandom(1 << 23)
    streams = await upstream.connect()
    upstream.reading.clear()
    asyncio.get_running_loop().call_later(0.2, upstream.reading.set)
    assert await echoed(streams, data, within_s=20)


async def test_the_end_of_one_direction_leaves_the_other_open(upstream: Upstream) -> None:
    reader, writer = await upstream.connect()
    upstream.reading.clear()
    writer.write(b"last words")
    writer.write_eof()
    upstream.reading.set()
    assert await reader.read() == b"last words"
    assert upstream.ends == ["end"]


async def test_a_reset_by_the_pod_reaches_the_dependency_as_one(upstream: Upstream) -> None:
    streams = await upstream.connect()
    assert await echoed(streams, b"PING")
    sock = streams[1].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    streams[1].transport.abort()

    async def ended() -> bool:
        return upstream.ends == ["reset"]

    await eventually(ended, within_s=5, what="reset")


async def test_a_dependency_that_refuses_resets_the_pod(upstream: Upstream) -> None:
    assert upstream.server is not None
    upstream.server.close()
    with pytest.raises(ConnectionResetError):
        await (await upstream.connect())[0].read()


async def test_a_cut_link_resets_old_and_new_connections(upstream: Upstream) -> None:
    old = await upstream.connect()
    assert await echoed(old, b"PING")
    await upstream.links.set("backend-1", "redis", "cut")
    with pytest.raises(ConnectionResetError):
        await old[0].read()
    with pytest.raises(ConnectionResetError):
        await (await upstream.connect())[0].read()
    assert len(upstream.sources) == 2  # the new one never got through
    await upstream.links.set("backend-1", "redis", "pass")
    assert await echoed(await upstream.connect(), b"PING")


async def test_a_blackholed_link_is_silent_and_delivers_what_was_kept_when_it_passes(upstream: Upstream) -> None:
    old = await upstream.connect()
    assert await echoed(old, b"PING")
    await upstream.links.set("backend-1", "redis", "blackhole")
    new = await upstream.connect()
    assert not await echoed(old, b"old", SILENT_S)
    assert not await echoed(new, b"new", SILENT_S)
    assert len(upstream.sources) == 2
    await upstream.links.set("backend-1", "redis", "pass")
    assert await asyncio.wait_for(old[0].readexactly(3), 5) == b"old"
    assert await asyncio.wait_for(new[0].readexactly(3), 5) == b"new"


async def test_a_blackholed_link_keeps_back_answers_too(upstream: Upstream) -> None:
    reader, writer = await upstream.connect()
    upstream.reading.clear()
    writer.write(b"asked")
    await upstream.links.set("backend-1", "redis", "blackhole")
    upstream.reading.set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), SILENT_S)
    await upstream.links.set("backend-1", "redis", "pass")
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"asked"


async def test_a_blackholed_link_can_be_cut(upstream: Upstream) -> None:
    old = await upstream.connect()
    await upstream.links.set("backend-1", "redis", "blackhole")
    await upstream.links.set("backend-1", "redis", "cut")
    with pytest.raises(ConnectionResetError):
        await old[0].read()


async def test_a_closed_link_refuses(upstream: Upstream) -> None:
    old = await upstream.connect()
    await upstream.links.close_pod("backend-1")
    with pytest.raises(ConnectionResetError):
        await old[0].read()
    with pytest.raises(ConnectionRefusedError):
        await upstream.connect()


async def test_an_unknown_link_is_told(upstream: Upstream) -> None:
    with pytest.raises(LimpetError, match=r"links: KeyError: .*backend-2"):
        await upstream.links.set("backend-2", "redis", "cut")


async def test_a_killed_relay_is_told(upstream: Upstream) -> None:
    upstream.relay.send_signal(signal.SIGSTOP)
    waiting = asyncio.ensure_future(upstream.links.set("backend-1", "redis", "cut"))
    await asyncio.wait([waiting], timeout=0.05)
    upstream.relay.kill()
    with pytest.raises(LimpetError, match="links: the relay process ended"):
        await waiting
    with pytest.raises(LimpetError, match="links: the relay process is gone"):
        await upstream.links.set("backend-1", "redis", "pass")
