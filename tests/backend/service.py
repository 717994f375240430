"""A whole stack of the reference backend with timings scaled down, and short ways to its replicas."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from limpet import contract as contracts
from limpet import shipped
from limpet.clock import eventually
from limpet.history import History
from limpet.targets.base import Pod
from limpet.targets.local.target import LocalTarget

TIMING = {
    "heartbeat_interval_s": 0.4,
    "heartbeat_ttl_s": 2.4,
    "self_fence_s": 1.6,
    "takeover_scan_s": 0.2,
    "lock_ttl_s": 3.0,
    "lock_wait_s": 2.0,
    "session_timeout_s": 600.0,
    "pre_stop_s": 0.0,
    "grace_period_s": 10.0,
    "ended_keep_s": 60.0,
}
WITHIN_S = 10.0
BODY = {"type": "trace_tcp", "namespace": "demo", "source": "synthetic", "rate": 50}


@dataclass
class Service:
    """A running stack, and short ways to its replicas."""

    target: LocalTarget
    http: httpx.AsyncClient
    redis: Redis

    async def pods(self, count: int = 2) -> list[Pod]:
        """The replicas that serve, past the ingress."""

        async def all_ready() -> list[Pod]:
            pods = [pod for pod in await self.target.pods() if pod.phase == "ready" and pod.instance]
            return pods if len(pods) == count else []

        return await eventually(all_ready, within_s=WITHIN_S, what=f"{count} replicas ready")

    async def urls(self, count: int = 2) -> list[str]:
        return [f"http://{pod.address}" for pod in await self.pods(count)]

    async def create(self, url: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{url}/api/sessions", json=BODY | body, headers=headers)
        assert answer.status_code == 201, answer.text
        return cast("dict[str, Any]", answer.json())

    async def read(self, url: str, session_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"{url}/api/sessions/{session_id}")
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Any]", answer.json())

    async def delete(self, url: str, session_id: str) -> int:
        return (await self.http.delete(f"{url}/api/sessions/{session_id}")).status_code

    async def running(self, url: str) -> dict[str, list[str]]:
        """Instance -> sessions whose gadgets really run there."""
        answer = (await self.http.get(f"{url}/api/instances")).json()
        return {one["instance"]: [g["sessionId"] for g in one.get("gadgets", ())] for one in answer}

    def watch(self, url: str, session_id: str, query: str = "") -> connect:
        return connect(f"{url.replace('http', 'ws')}/ws/{session_id}{query}", max_queue=None)

    async def keys(self) -> set[str]:
        return {key async for key in self.redis.scan_iter()}


@contextlib.asynccontextmanager
async def running_service(folder: Path, replicas: int = 2, **timing: float) -> AsyncIterator[Service]:
    contract = contracts.load(shipped.contract("gadget")).with_timing(**TIMING | timing)
    with contextlib.closing(History(folder / "history.jsonl", "replicas")) as history:
        async with LocalTarget(contract, history, folder / "logs", replicas=replicas) as target:
            redis = target.redis()
            async with httpx.AsyncClient(timeout=WITHIN_S) as http:
                yield Service(target, http, redis)
            await redis.aclose()


async def messages(watcher: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next messages."""
    async with asyncio.timeout(WITHIN_S):
        return [msgspec.json.decode(await watcher.recv()) for _ in range(count)]


async def until_closed(watcher: ClientConnection) -> list[dict[str, Any]]:
    """All messages that come before the connection is closed."""
    received = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            received += await messages(watcher, 1)
    return received
