"""Heartbeats watched for a while, then one replica dies, another's event loop stops, and a new one starts."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from limpet.checkers.heartbeat import BEATS, EARLY_S, TOLERANCE
from limpet.checkers.membership import SLACK_S
from limpet.clock import Deadline, sleep
from limpet.faults.pods import KillPod
from limpet.targets.base import Pause, Pod, Resume, Stall
from limpet.workloads.stack import Stack

LOOK_EVERY_S = 0.1
ANSWER_WITHIN_S = 0.5


async def listen(stack: Stack) -> None:
    """Watch `BEATS` beats of every replica; then stop one and kill another, and watch them disappear."""
    timing = stack.contract.timing
    if timing.heartbeat_interval_s is None or timing.heartbeat_ttl_s is None:
        return
    await _beats(stack, timing.heartbeat_interval_s)
    stack.let_others_begin()
    await _stop_and_kill(stack, timing.heartbeat_ttl_s)


async def _beats(stack: Stack, interval_s: float) -> None:
    """Until each replica was seen to beat often enough; as long as the slowest takes that is still right."""
    pods = await stack.snapshot()
    stack.history.note("watch", "beats")
    seen: dict[str, set[Any]] = {}
    deadline = Deadline(interval_s * (1 + TOLERANCE) * BEATS + LOOK_EVERY_S)
    while not deadline.passed():
        for instance, value in (await stack.looker.replicas()).items():
            seen.setdefault(instance, set()).add(value)
        enough = [values for values in seen.values() if len(values) > BEATS]  # one was there at first
        if len(enough) >= len(pods) and len(enough) == len(seen):
            break
        await sleep(LOOK_EVERY_S)


async def _stop_and_kill(stack: Stack, ttl_s: float) -> None:
    """The oldest replica is killed, another is stopped; both heartbeats must go. The killed one comes back."""
    stack.history.note("watch", "deaths")
    await _watch_during(stack, stack.strike(KillPod()))
    pods = await stack.snapshot()
    for pod in pods:
        stack.history.note("born", pod.name, instance=pod.instance)
    await _watch_for(stack, EARLY_S)
    stopped = pods[-1]
    await _stop_loop(stack, stopped)
    stack.history.note("stopped loop", stopped.name, instance=stopped.instance)
    try:
        await _watch_for(stack, ttl_s + 2 * SLACK_S)
    finally:
        await stack.target.act(Resume(stopped.name))
        stack.history.note("resumed loop", stopped.name, instance=stopped.instance)


async def _stop_loop(stack: Stack, pod: Pod) -> None:
    """Stop the main thread alone; where that is not the one that serves, or cannot be done, the whole process.

    A heartbeat from a thread of its own goes on while the event loop stands still, and must not.
    """
    if not stack.target.capabilities().get("stall", "this target cannot"):
        await stack.target.act(Stall(pod.name))
        if not await _answers(stack, pod):
            return
        await stack.target.act(Resume(pod.name))
    await stack.target.act(Pause(pod.name))


async def _answers(stack: Stack, pod: Pod) -> bool:
    user = await stack.direct(pod)
    http = stack.contract.http
    try:
        return await asyncio.wait_for(user.call("alive", http.health or http.list), ANSWER_WITHIN_S) is not None
    except TimeoutError:
        return False


async def _watch_during(stack: Stack, job: Coroutine[Any, Any, object]) -> None:
    """Look on until `job` is done: a replica may become ready some time before that."""
    doing = asyncio.create_task(job)
    try:
        while not doing.done():
            await stack.looker.replicas()
            await asyncio.wait([doing], timeout=LOOK_EVERY_S)
    finally:
        doing.cancel()
        await asyncio.wait([doing])
    await doing


async def _watch_for(stack: Stack, duration_s: float) -> None:
    deadline = Deadline(duration_s)
    while not deadline.passed():
        await stack.looker.replicas()
        await sleep(LOOK_EVERY_S)
