"""Redis stands still, dies, comes back or comes back empty, under one replica that knows no other."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from backend.lone import Lone, Server, is_ready, replica, serving
from backend.owners import interruptions
from backend.service import BODY, WITHIN_S, messages, until_closed
from websockets.asyncio.client import ClientConnection, connect

from limpet.clock import eventually

BACK_WITHIN_S = 2.0
PENDING = 40


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with serving(Server(tmp_path_factory.mktemp("valkey"))) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lone(server: Server) -> AsyncIterator[Lone]:
    """A replica that lets few events wait, and that no outage here costs its lease."""
    patient = {"self_fence_s": 8.0, "heartbeat_ttl_s": 12.0, "redis_wait_s": 0.5}
    async with replica(server.url, pending_events=PENDING, **patient) as running:
        yield running


@contextlib.asynccontextmanager
async def watching(lone: Lone, begun: int = 10, **body: Any) -> AsyncIterator[tuple[str, ClientConnection]]:
    """A session and a watcher of it from its beginning, who got so many messages."""
    async with httpx.AsyncClient(base_url=lone.url, timeout=WITHIN_S) as http:
        made = (await http.post("/api/sessions", json=BODY | body)).json()["id"]
        async with connect(f"{lone.url.replace('http', 'ws')}/ws/{made}?after=0", max_queue=None) as watcher:
            await messages(watcher, begun)
            yield made, watcher
        await http.delete(f"/api/sessions/{made}")


async def refused(url: str, path: str) -> None:
    async with httpx.AsyncClient(timeout=WITHIN_S) as http:
        answer = await http.get(f"{url}{path}")
    assert answer.status_code == 503, path
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["code"] == "redis_unavailable"


async def comes_back(lone: Lone, watcher: ClientConnection, began_s: float) -> list[dict[str, Any]]:
    """Ready and streaming again; gives what came."""
    received = await messages(watcher, 1)
    assert time.monotonic() - began_s < BACK_WITHIN_S

    async def ready() -> bool:
        return await is_ready(lone.url)

    await eventually(ready, within_s=BACK_WITHIN_S, what="it is ready again")
    return received


async def test_what_overflows_while_redis_stands_still_is_one_interruption_for_watchers_that_stay(
    server: Server, lone: Lone
) -> None:
    async with watching(lone, rate=100) as (made, watcher):
        server.pause()
        try:
            await refused(lone.url, f"/api/sessions/{made}")
            assert not await is_ready(lone.url)  # each takes half a second at least: more than may wait
        finally:
            server.go_on()
        received = await comes_back(lone, watcher, time.monotonic())
        received += await messages(watcher, 3 * PENDING)
    (announced,) = interruptions(received)
    assert announced["reason"] == "more events than Redis took"


async def test_what_fits_while_redis_stands_still_is_all_there_afterwards(server: Server, lone: Lone) -> None:
    async with watching(lone, rate=10) as (made, watcher):
        server.pause()
        try:
            await refused(lone.url, f"/api/sessions/{made}")
        finally:
            server.go_on()
        received = await comes_back(lone, watcher, time.monotonic())
        received += await messages(watcher, 15)
    assert interruptions(received) == []


async def test_a_killed_redis_that_comes_back_with_its_data_costs_nobody_anything(server: Server, lone: Lone) -> None:
    async with watching(lone, rate=20) as (made, watcher):
        await server.stop()
        await refused(lone.url, f"/api/sessions/{made}")
        await refused(lone.url, "/api/sessions")
        assert not await is_ready(lone.url)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{lone.url}/health")).is_success
        await server.start()
        received = await comes_back(lone, watcher, time.monotonic())
        received += await messages(watcher, 20)
    assert interruptions(received) == []
    assert all(message["type"] == "event" for message in received)


async def test_of_a_redis_that_comes_back_empty_nothing_runs_on_and_new_sessions_do(server: Server, lone: Lone) -> None:
    async with watching(lone, begun=2, rate=1) as (made, watcher), watching(lone, rate=20) as (busy, other):
        async with server.client() as client:
            await client.flushall()
        await server.stop()
        await server.start()
        for each in (watcher, other):
            await until_closed(each)
            assert each.close_code == 1012
        async with connect(f"{lone.url.replace('http', 'ws')}/ws/{made}") as late:
            await until_closed(late)
            assert late.close_code == 4404

        async def nothing_runs() -> bool:
            async with httpx.AsyncClient() as http:
                return bool((await http.get(f"{lone.url}/internal/status")).json()["gadgets"] == [])

        await eventually(nothing_runs, within_s=WITHIN_S, what="no gadget runs")
        assert made in lone.log
        assert busy in lone.log

    async def makes() -> bool:
        async with httpx.AsyncClient() as http:
            return (await http.post(f"{lone.url}/api/sessions", json=BODY)).status_code == 201

    await eventually(makes, within_s=BACK_WITHIN_S, what="a session is made")
    async with watching(lone, rate=50) as (_, watcher):
        assert (await messages(watcher, 5))[-1]["type"] == "event"
