"""Sessions at a replica of choice, what a replica runs, and what a watcher may have got when owners changed."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

from backend.service import WITHIN_S, Service, messages
from websockets.asyncio.client import ClientConnection

from limpet.clock import eventually
from limpet.targets.base import Pod

# Long enough that a busy machine costs no lease: only what a test does changes owners.
CALM = {"heartbeat_interval_s": 1.0, "heartbeat_ttl_s": 12.0, "self_fence_s": 8.0, "takeover_scan_s": 0.3}


def url_of(pod: Pod) -> str:
    return f"http://{pod.address}"


async def made_at(service: Service, pod: Pod, **body: Any) -> dict[str, Any]:
    """A new session that this replica runs."""
    made = await service.create(url_of(pod), **body)

    async def there() -> dict[str, Any]:
        call = f"{url_of(pod)}/api/sessions/{made['id']}/migrate"
        answer = await service.http.post(call, json={"to": pod.instance})
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 else {}

    session = await eventually(there, within_s=WITHIN_S, what=f"{made['id']} is {pod.name}'s")
    assert session["owner"] == pod.instance
    begun_at = (session["handedOver"] or {"seq": 0})["seq"]

    async def goes_on() -> bool:
        return bool(await service.redis.xlen(f"events:{session['id']}") > begun_at)

    await eventually(goes_on, within_s=WITHIN_S, what="its first event there")
    return session


async def runs(service: Service, url: str, session_id: str) -> list[str]:
    """The replicas in which its gadget really runs."""
    return [instance for instance, ids in (await service.running(url)).items() if session_id in ids]


async def owner_becomes(service: Service, url: str, session_id: str, owners: Sequence[str]) -> dict[str, Any]:
    """Wait until one of `owners` owns and runs a session, and nobody else."""

    async def owned() -> dict[str, Any]:
        session = await service.read(url, session_id)
        there = session["status"] == "running" and session["owner"] in owners
        return session if there and await runs(service, url, session_id) == [session["owner"]] else {}

    return await eventually(owned, within_s=WITHIN_S, what=f"{session_id} runs at one of {owners}")


async def all_run(service: Service, url: str, ids: Collection[str]) -> dict[str, list[str]]:
    """Wait until each of these sessions runs once; gives which ones each replica runs."""

    async def each_runs() -> dict[str, list[str]]:
        running = {i: [one for one in gadgets if one in ids] for i, gadgets in (await service.running(url)).items()}
        return running if sorted(chain.from_iterable(running.values())) == sorted(ids) else {}

    return await eventually(each_runs, within_s=WITHIN_S, what=f"{len(ids)} sessions run")


async def until_interrupted(watcher: ClientConnection, more: int) -> list[dict[str, Any]]:
    """The messages up to the next interruption, and so many after it."""
    received = await messages(watcher, 1)
    async with asyncio.timeout(WITHIN_S):
        while received[-1]["type"] != "interruption":
            received += await messages(watcher, 1)
    return received + await messages(watcher, more)


def interruptions(received: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The interruptions among consecutive messages, which are right in all else: no gap, no silent jump.

    `n` may jump where an interruption stands, and never goes back.
    """
    stream = [message for message in received if message["type"] != "subscribed"]
    assert [m["seq"] for m in stream] == list(range(stream[0]["seq"], stream[0]["seq"] + len(stream)))
    last_n = None
    for message in stream:
        if message["type"] == "interruption":
            assert message["since"] <= message["until"]
            last_n = None if last_n is None else -last_n
        elif message["type"] == "event":
            n = message["data"]["n"]
            if last_n is not None:
                assert n == last_n + 1 if last_n >= 0 else n > -last_n, message
            last_n = n
    return [message for message in stream if message["type"] == "interruption"]


async def entries(service: Service, session_id: str) -> list[dict[str, str]]:
    """What a session's stream in Redis holds: `epoch` and `message` of each entry."""
    found: Any = await service.redis.xrange(f"events:{session_id}")
    return [fields for _, fields in found]


async def announced(service: Service, session_id: str) -> int:
    """How many interruptions its stream holds."""
    return sum('"type":"interruption"' in entry["message"] for entry in await entries(service, session_id))
