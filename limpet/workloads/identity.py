"""Replicas started and restarted, and after each start everything that tells an instance id."""

from limpet.checkers.identity import STARTS
from limpet.clock import Deadline, sleep
from limpet.faults.pods import DeletePod, KillPod
from limpet.targets.base import Pod
from limpet.workloads.stack import Stack

LOOK_EVERY_S = 0.05


async def restart(stack: Stack) -> None:
    """Kill and delete pods in turn until there were enough starts; read all ids after each."""
    seen: set[tuple[str, int]] = set()
    for round_ in range(STARTS):
        for pod in await stack.ready():
            if (pod.name, pod.restarts) not in seen:
                seen.add((pod.name, pod.restarts))
                await _introduce(stack, pod)
        if len(seen) >= STARTS or not await stack.strike(KillPod() if round_ % 2 else DeletePod()):
            break


async def _introduce(stack: Stack, pod: Pod) -> None:
    """Write down what one start calls itself: in its log, its answers, its heartbeat and the API."""
    http = stack.contract.http
    user = await stack.direct(pod)
    hello = await user.call("hello", http.list)
    stack.history.note(
        "start", pod.name, restarts=pod.restarts, log=pod.instance, header=hello.pod if hello and hello.good else ""
    )
    # how soon the first beat comes is judged by `heartbeat`; here it only has to have the same id
    deadline = Deadline((stack.contract.timing.heartbeat_interval_s or 0.0) + 1.0)
    while (
        pod.instance not in await stack.looker.replicas() and not deadline.passed() and stack.contract.redis.heartbeat
    ):
        await sleep(LOOK_EVERY_S)
    if http.instances:
        await user.call("instances", http.instances)
