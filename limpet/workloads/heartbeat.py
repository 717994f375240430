"""Heartbeats watched for a while, then one replica dies, another's event loop stops, and a new one starts."""

from limpet.checkers.heartbeat import BEATS, EARLY_S, SLACK_S
from limpet.clock import Deadline, sleep
from limpet.faults.pods import KillPod
from limpet.targets.base import Pause, Pod, Resume
from limpet.workloads.stack import Stack

LOOK_EVERY_S = 0.1


async def listen(stack: Stack) -> None:
    """Watch `BEATS` beats of every replica; then stop one and kill another, and watch them disappear."""
    timing = stack.contract.timing
    if timing.heartbeat_interval_s is None or timing.heartbeat_ttl_s is None:
        return
    await _beats(stack, timing.heartbeat_interval_s)
    pods = await stack.snapshot()
    await _stop_and_kill(stack, pods[-1], timing.heartbeat_ttl_s)


async def _beats(stack: Stack, interval_s: float) -> None:
    await stack.snapshot()
    stack.history.note("watch", "beats")
    await _watch_for(stack, interval_s * (BEATS + 0.5))


async def _stop_and_kill(stack: Stack, stopped: Pod, ttl_s: float) -> None:
    """The oldest replica is killed, the youngest is stopped; both heartbeats must go. The killed one comes back."""
    stack.history.note("watch", "deaths")
    await stack.strike(KillPod())
    for pod in await stack.snapshot():
        stack.history.note("born", pod.name, instance=pod.instance)
    await _watch_for(stack, EARLY_S)
    stack.history.note("stopped loop", stopped.name, instance=stopped.instance)
    await stack.target.act(Pause(stopped.name))
    try:
        await _watch_for(stack, ttl_s + SLACK_S)
    finally:
        await stack.target.act(Resume(stopped.name))
        stack.history.note("resumed loop", stopped.name, instance=stopped.instance)


async def _watch_for(stack: Stack, duration_s: float) -> None:
    deadline = Deadline(duration_s)
    while not deadline.passed():
        await stack.looker.replicas()
        await sleep(LOOK_EVERY_S)
