"""A primary with a replica and a Sentinel: what becomes of sessions when the primary fails, or is relieved."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from backend.lone import Lone, Server, free_port, is_ready, replica, serving
from backend.owners import interruptions
from backend.service import BODY, WITHIN_S, messages
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from limpet.clock import eventually

FAILOVER_WITHIN_S = 20.0
BACK_WITHIN_S = 2.0
LATE = {"redis_wait_s": 0.5, "self_fence_s": 8.0, "heartbeat_ttl_s": 12.0}
SENTINEL = """
sentinel monitor main 127.0.0.1 {port} 1
sentinel down-after-milliseconds main 400
sentinel failover-timeout main 5000
"""


class Sentinel(Server):
    """A Sentinel reads a file of its own, and writes into it."""

    def arguments(self, options: tuple[str, ...]) -> tuple[str, ...]:
        return (str(self.folder / "sentinel.conf"), "--sentinel", *options)


@dataclass
class Servers:
    """Two servers, the first of which is the primary at the beginning."""

    first: Server
    second: Server
    sentinel: Server

    @property
    def url(self) -> str:
        # the first one that is named does not answer
        return f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.sentinel.port}/main/0"

    async def promoted(self) -> None:
        async with self.second.client() as client:

            async def is_primary() -> bool:
                return bool((await client.role())[0] == "master")

            await eventually(is_primary, within_s=FAILOVER_WITHIN_S, what="the second server is the primary")

    async def isolate(self) -> None:
        """From now on the second server gets nothing from the first."""
        async with self.first.client() as client:
            await client.execute_command("ACL", "SETUSER", "default", "-psync", "-sync")  # type: ignore[no-untyped-call]
            await client.client_kill_filter(_type="replica")


@contextlib.asynccontextmanager
async def servers(folder: Path) -> AsyncIterator[Servers]:
    async with contextlib.AsyncExitStack() as stack:
        options = (*Server(folder).options, "--repl-diskless-sync-delay", "0")
        first = await stack.enter_async_context(serving(Server(folder / "first", options)))
        options = (*options, "--replicaof", "127.0.0.1", str(first.port))
        second = await stack.enter_async_context(serving(Server(folder / "second", options)))
        async with second.client() as client:

            async def in_step() -> bool:
                info: Any = await client.info("replication")
                return bool(info["master_link_status"] == "up")

            await eventually(in_step, within_s=WITHIN_S, what="the replica is in step")
        (folder / "sentinel").mkdir()
        (folder / "sentinel" / "sentinel.conf").write_text(SENTINEL.format(port=first.port))
        sentinel = await stack.enter_async_context(serving(Sentinel(folder / "sentinel", ())))
        async with sentinel.client() as client:

            async def known() -> bool:
                said: Any = await client.execute_command("SENTINEL", "REPLICAS", "main")  # type: ignore[no-untyped-call]
                return bool(said)

            await eventually(known, within_s=FAILOVER_WITHIN_S, what="the Sentinel knows the replica")
        yield Servers(first, second, sentinel)


async def numbers(client: Redis, pattern: str) -> dict[str, int]:
    """Fences or epochs, by their keys."""
    return {key: int(await client.get(key) or 0) async for key in client.scan_iter(pattern)}


async def created(lone: Lone, **body: Any) -> str:
    async with httpx.AsyncClient(timeout=WITHIN_S) as http:
        answer = await http.post(f"{lone.url}/api/sessions", json=BODY | body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def watch(lone: Lone, session: str, query: str = "?after=0") -> connect:
    return connect(f"{lone.url.replace('http', 'ws')}/ws/{session}{query}", max_queue=None)


async def gadgets(*several: Lone) -> list[str]:
    """The sessions whose gadgets run, of all these replicas."""
    async with httpx.AsyncClient(timeout=WITHIN_S) as http:
        answers = [(await http.get(f"{lone.url}/internal/status")).json()["gadgets"] for lone in several]
    return sorted(gadget["sessionId"] for running in answers for gadget in running)


async def until_ready(*several: Lone) -> None:
    for lone in several:

        async def ready(url: str = lone.url) -> bool:
            return await is_ready(url)

        await eventually(ready, within_s=BACK_WITHIN_S, what="it is ready again")


async def until_told(watcher: ClientConnection) -> list[dict[str, Any]]:
    """What comes up to the next `subscribed`, and a while after it."""
    received = await messages(watcher, 1)
    while received[-1]["type"] != "subscribed":
        received += await messages(watcher, 1)
    return received + await messages(watcher, 30)


def begun_anew(received: list[dict[str, Any]], reason: str) -> None:
    """What a watcher got over a failover: two streams, the second with one interruption, at its beginning."""
    begins = [message["type"] for message in received].index("subscribed", 1)
    former, (told, first, *following) = received[:begins], received[begins:]
    assert told["stream"] > former[0]["stream"]
    assert (told["seq"], told["recovered"]) == (0, False)
    assert (first["type"], first["seq"], first["reason"]) == ("interruption", 1, reason)
    last_n = next(m["data"]["n"] for m in reversed(former) if m["type"] == "event")
    assert next(m["data"]["n"] for m in following if m["type"] == "event") > last_n
    assert interruptions([first, *following]) == [first]


async def test_a_failover_that_lost_writes_is_told_and_numbers_go_on_growing(tmp_path: Path) -> None:
    async with (
        servers(tmp_path) as redis,
        replica(redis.url, **LATE) as one,
        replica(redis.url, **LATE) as other,
        replica(redis.url, **LATE) as third,
    ):
        made, left = await created(one, rate=50), await created(third, rate=50)
        async with watch(one, made) as near, watch(other, made) as far, watch(other, left) as orphaned:
            watchers = (near, far, orphaned)
            received = [await messages(watcher, 20) for watcher in watchers]
            await redis.isolate()
            lost = await created(one, rate=20)
            async with watch(other, lost) as watcher:
                await messages(watcher, 5)
            received = [[*had, *await messages(w, 30)] for had, w in zip(received, watchers, strict=True)]
            async with redis.first.client() as client:
                before = await numbers(client, "epoch:*") | await numbers(client, "fence:*")
            assert {f"epoch:{made}", f"epoch:{lost}"} <= before.keys()
            third.kill()
            redis.first.pause()  # an outdated primary that still holds its connections is worse than a dead one
            await redis.promoted()
            await until_ready(one, other)
            received = [[*had, *await until_told(w)] for had, w in zip(received, watchers, strict=True)]
        for several, reason in zip(received, ("Redis lost events", "Redis lost events", "owner lost"), strict=True):
            begun_anew(several, reason)

        async def ghost_gone() -> bool:
            return await gadgets(one, other) == sorted([made, left])

        await eventually(ghost_gone, within_s=WITHIN_S, what="the gadget of the lost session has stopped")
        assert any(lost in line and "WARNING" in line for line in (one.log + other.log).splitlines())
        again = await created(other, rate=20)
        async with httpx.AsyncClient(timeout=WITHIN_S) as http:
            await http.patch(f"{one.url}/api/sessions/{made}", json={"labels": {"after": "failover"}})
        async with redis.second.client() as client:
            after = await numbers(client, "epoch:*") | await numbers(client, "fence:*")
        for key in (f"fence:session:{made}", f"epoch:{made}", f"epoch:{left}"):
            assert after[key] > before[key]
        assert after[f"epoch:{again}"] > max(before.values())
        redis.first.go_on()


async def test_a_failover_that_lost_nothing_changes_no_stream(tmp_path: Path) -> None:
    async with servers(tmp_path) as redis, replica(redis.url, **LATE) as one, replica(redis.url, **LATE) as other:
        made = await created(one, rate=10)
        async with watch(other, made) as watcher:
            received = await messages(watcher, 5)
            async with redis.first.client() as client:
                assert await client.wait(1, 1000) == 1
                redis.first.pause()
            await redis.promoted()
            await until_ready(one, other)
            received += await messages(watcher, 20)
        assert [message["type"] for message in received] == ["subscribed"] + ["event"] * 24
        assert interruptions(received) == []
        redis.first.go_on()
