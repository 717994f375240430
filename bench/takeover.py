"""How long sessions stand still when their owner is killed, when all replicas are rolled out, and how fast many move.

make bench ARGS=takeover
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from bench.base import heading, table
from limpet import contract as contracts
from limpet import shipped
from limpet.clock import eventually
from limpet.history import History
from limpet.targets.base import Delete, Kill, Pod, RollOut, Scale
from limpet.targets.local.target import LocalTarget

KILLS = 10
SESSIONS, RATE = 20, 100
MANY, MANY_RATE = 1_000, 0.1
AT_ONCE = 16
RECONNECT_S = 0.02
FLOWING = 120  # messages after which a stream is taken to flow
READY_WITHIN_S = 30.0
BODY = {"type": "trace_tcp", "namespace": "demo", "source": "synthetic"}


@contextlib.asynccontextmanager
async def _stack(replicas: int) -> AsyncIterator[tuple[LocalTarget, httpx.AsyncClient]]:
    contract = contracts.load(shipped.contract("gadget"))
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history-takeover.jsonl", "takeover")
        async with (
            LocalTarget(contract, history, Path(folder) / "logs", replicas=replicas) as target,
            httpx.AsyncClient(timeout=READY_WITHIN_S) as http,
        ):
            yield target, http
        history.close()


async def _pods(target: LocalTarget, count: int) -> list[Pod]:
    async def ready() -> list[Pod]:
        pods = [pod for pod in await target.pods() if pod.phase == "ready" and pod.instance]
        return pods if len(pods) == count else []

    return await eventually(ready, within_s=READY_WITHIN_S, what=f"{count} replicas ready")


async def _create(http: httpx.AsyncClient, pod: Pod, count: int, rate: float) -> list[str]:
    """Sessions that a replica runs."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with slots:
            url = f"http://{pod.address}/api/sessions"
            made = (await http.post(url, json=BODY | {"rate": rate})).raise_for_status().json()
            answer = await http.post(f"{url}/{made['id']}/migrate", json={"to": pod.instance})
            answer.raise_for_status()
            return str(made["id"])

    return await asyncio.gather(*(one() for _ in range(count)))


class Watcher:
    """Follows one session, reconnecting at once; `arrivals` are (monotonic time, type) of all that came."""

    def __init__(self, base_url: str, session_id: str) -> None:
        self._url = f"{base_url.replace('http', 'ws')}/ws/{session_id}"
        self._query = ""
        self.arrivals: list[tuple[float, str]] = []
        self.task = asyncio.create_task(self._run())

    def longest_pause_s(self, since_s: float, until_s: float) -> float:
        """The longest time without an event."""
        times = [at_s for at_s, kind in self.arrivals if kind == "event" and since_s <= at_s <= until_s]
        return max(b - a for a, b in zip([since_s, *times], [*times, until_s], strict=True))

    def next_event_s(self, since_s: float) -> float:
        """How long after `since_s` the first event came that a new owner observed; 0.0 if none has come."""
        after = [(at_s, kind) for at_s, kind in self.arrivals if at_s > since_s]
        kinds = [kind for _, kind in after]
        announced = kinds.index("interruption") if "interruption" in kinds else len(kinds)
        return next((at_s - since_s for at_s, kind in after[announced:] if kind == "event"), 0.0)

    async def stop(self) -> None:
        """Follow no more."""
        self.task.cancel()
        await asyncio.wait([self.task])

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException, InvalidHandshake, TimeoutError):
                async with connect(self._url + self._query, max_queue=None) as watcher:
                    await self._follow(watcher)
            await asyncio.sleep(RECONNECT_S)

    async def _follow(self, watcher: ClientConnection) -> None:
        stream = ""
        async for text in watcher:
            message: dict[str, Any] = msgspec.json.decode(text)
            stream = message.get("stream", stream)
            self._query = f"?stream={stream}&after={message.get('seq', 0)}"
            self.arrivals.append((time.monotonic(), message["type"]))


async def _all_flow(watchers: Sequence[Watcher]) -> bool:
    return all(len(watcher.arrivals) > FLOWING for watcher in watchers)


async def _all_go_on(watchers: Sequence[Watcher], since_s: float) -> bool:
    return all(watcher.next_event_s(since_s) for watcher in watchers)


async def _kills() -> list[tuple[str, list[float]]]:
    elsewhere: list[float] = []
    through_ingress: list[float] = []
    async with _stack(3) as (target, http):
        for _ in range(KILLS):
            victim, other, *_ = await _pods(target, 3)
            ids = await _create(http, victim, SESSIONS, RATE)
            near = [Watcher(f"http://{other.address}", i) for i in ids]
            far = [Watcher(target.base_url, i) for i in ids]
            await eventually(partial(_all_flow, near + far), within_s=READY_WITHIN_S, what="events for all watchers")
            killed_s = time.monotonic()
            await target.act(Kill(victim.name))
            await eventually(
                partial(_all_go_on, near + far, killed_s), within_s=READY_WITHIN_S, what="events for all watchers"
            )
            elsewhere += [watcher.next_event_s(killed_s) for watcher in near]
            through_ingress += [watcher.next_event_s(killed_s) for watcher in far]
            for watcher in near + far:
                await watcher.stop()
            await asyncio.gather(*(http.delete(f"http://{other.address}/api/sessions/{i}") for i in ids))
    return [
        ("owner killed -> next event, at another replica", elsewhere),
        ("the same, through the ingress", through_ingress),
    ]


@contextlib.asynccontextmanager
async def _one_has_all() -> AsyncIterator[tuple[LocalTarget, httpx.AsyncClient, Pod, str, set[str]]]:
    """Three replicas, one of which runs all sessions; it, the address of another one, and the sessions."""
    async with _stack(1) as (target, http):
        (busy,) = await _pods(target, 1)
        ids = set(await _create(http, busy, MANY, MANY_RATE))
        await target.act(Scale(3))
        other = next(pod for pod in await _pods(target, 3) if pod.name != busy.name)
        yield target, http, busy, other.address, ids


async def _many() -> list[tuple[str, list[float]]]:
    async with _one_has_all() as (target, http, victim, other, ids):
        killed_s = time.monotonic()
        await target.act(Kill(victim.name))

        async def run_elsewhere() -> bool:
            instances = (await http.get(f"http://{other}/api/instances")).json()
            return ids == {g["sessionId"] for one in instances for g in one.get("gadgets", ()) if one["reachable"]}

        await eventually(run_elsewhere, within_s=READY_WITHIN_S, what="all run elsewhere")
        return [(f"owner of {MANY:,} sessions killed -> all run", [time.monotonic() - killed_s])]


async def _drain() -> list[tuple[str, list[float]]]:
    async with _one_has_all() as (target, http, leaving, other, ids):
        began_s = time.monotonic()
        await target.act(Delete(leaving.name))
        took_s = time.monotonic() - began_s
        sessions = {one["id"]: one for one in (await http.get(f"http://{other}/api/sessions")).json()}
        lost = sum(sessions.get(i, {}).get("status") != "running" for i in ids)
        redis = target.redis()
        announced = 0
        for i in ids:
            entries: Any = await redis.xrange(f"events:{i}")
            announced += sum('"type":"interruption"' in fields["message"] for _, fields in entries)
        await redis.aclose()
        what = f"owner of {MANY:,} sessions deleted -> gone ({lost} do not run, {announced} interruptions)"
        return [(what, [took_s])]


async def _roll_out() -> list[tuple[str, list[float]]]:
    async with _stack(2) as (target, http):
        one, other = await _pods(target, 2)
        ids = [*await _create(http, one, SESSIONS // 2, RATE), *await _create(http, other, SESSIONS // 2, RATE)]
        watchers = [Watcher(target.base_url, i) for i in ids]
        await eventually(partial(_all_flow, watchers), within_s=READY_WITHIN_S, what="events for all watchers")
        began_s = time.monotonic()
        quiet = [watcher.longest_pause_s(began_s - 1.0, began_s) for watcher in watchers]
        await target.act(RollOut())
        await asyncio.sleep(1.0)
        ended_s = time.monotonic()
        pauses = [watcher.longest_pause_s(began_s, ended_s) for watcher in watchers]
        announced = sum(kind == "interruption" for watcher in watchers for _, kind in watcher.arrivals)
        for watcher in watchers:
            await watcher.stop()
    return [
        ("longest pause of a watcher in a second of nothing", quiet),
        (f"longest pause in a roll-out ({announced} interruptions)", pauses),
    ]


def main() -> None:
    """Print the times."""
    heading(f"Takeover and roll-out: {KILLS} kills, {SESSIONS} sessions of {RATE} events/s; milliseconds")
    rows = []
    for part in (_kills, _many, _drain, _roll_out):
        for what, times_s in asyncio.run(part()):
            ms = sorted(time_s * 1000 for time_s in times_s)
            p95 = ms[min(len(ms) - 1, int(len(ms) * 0.95))]
            rows.append((what, str(len(ms)), f"{statistics.median(ms):.0f}", f"{p95:.0f}", f"{ms[-1]:.0f}"))
    table(("what", "times", "p50", "p95", "most"), rows)


if __name__ == "__main__":
    main()
