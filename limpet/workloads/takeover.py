"""Owners that are killed while their sessions are watched: who has them then, and how long nobody heard of them.

Each time the replica dies that owns most. In the same moment some of its sessions are deleted; once its last appends
are kept on their way until others own its sessions.
"""

import asyncio
import glob

from limpet.checkers.endurance import go_on_s
from limpet.checkers.takeover import MESSAGES, RESTS_S, SESSIONS
from limpet.clients.redis_trace import RedisTrace
from limpet.clients.sessions import User
from limpet.clock import sleep
from limpet.faults.base import Fault
from limpet.faults.late_appends import KillWithAppendsUnderWay
from limpet.faults.pods import KillPod
from limpet.targets.base import Pod, Scale
from limpet.workloads.audience import Audience
from limpet.workloads.ledger import read_everywhere
from limpet.workloads.stack import Stack

KILLS = 3
LATE = 1  # which of them has its appends kept back; no session is deleted then
ENOUGH_WITHIN_S = 30.0
DELETED_AFTER_S = (0.0, 0.01, 0.03, 0.06)


async def orphan(stack: Stack) -> None:
    """Kill one owner after the other, with the Redis trace running."""
    await stack.target.act(Scale(stack.target.replicas + 1))  # two have to share what one leaves
    await stack.ready()
    redis = stack.contract.redis
    patterns = [glob.escape(key) for key in (redis.owned, redis.epoch) if key]
    names = ["XADD", *(p.replace("{instance}", "*").replace("{id}", "*") for p in patterns)]
    async with RedisTrace(stack.target, stack.history, names=names):
        makers = list((await stack.user_of_each()).values()) or [await stack.user()]
        audience = await Audience.gather(stack, makers, SESSIONS, SESSIONS)
        await audience.go_on(go_on_s(stack.contract))
        for number in range(KILLS):
            if not await _round(stack, audience, late=number == LATE):
                break
        await sleep((stack.contract.timing.takeover_scan_s or 0.0) + RESTS_S)
        await audience.until(MESSAGES, ENOUGH_WITHIN_S)
        await _look(stack, "later")
        await read_everywhere(stack, [])
        await audience.leave()


async def _round(stack: Stack, audience: Audience, *, late: bool) -> bool:
    """One kill, to its recovery, and a look at what became of its sessions; whether it was recovered from."""
    pods = await stack.ready()
    owned = await stack.looker.owners("before")
    victim = max(pods, key=lambda pod: len(owned.get(pod.instance, ())))
    survivors = [pod for pod in pods if pod is not victim]
    orphans = [session for session in owned.get(victim.instance, ()) if session in audience.sessions]
    doomed = [] if late else orphans[: len(DELETED_AFTER_S)]
    stack.history.note(
        "orphaned",
        victim.instance,
        pod=victim.name,
        sessions=orphans,
        doomed=doomed,
        survivors=[pod.instance for pod in survivors],
    )
    users = [await stack.direct(pod) for pod in survivors]
    fault: Fault = _late(stack, victim) if late else KillPod(victim)
    deletes = [
        asyncio.create_task(_delete(audience, session, users[number % len(users)], DELETED_AFTER_S[number]))
        for number, session in enumerate(doomed if users else ())
    ]
    try:
        recovered = await stack.strike(fault)
    finally:
        await asyncio.gather(*deletes)
    await audience.go_on(go_on_s(stack.contract))
    await _look(stack, "after")
    return recovered


def _late(stack: Stack, victim: Pod) -> Fault:
    why = stack.target.capabilities().get("link", "this target cannot")
    if why:
        stack.history.note("fault", "unsupported", fault=KillWithAppendsUnderWay.name, why=why)
        return KillPod(victim)
    return KillWithAppendsUnderWay(victim, stack.contract, stack.looker, stack.history)


async def _delete(audience: Audience, session: str, user: User, after_s: float) -> None:
    await sleep(after_s)
    await audience.delete(session, user)


async def _look(stack: Stack, step: str) -> None:
    """Who owns what, and what really runs where."""
    await stack.looker.owners(step)
    if stack.contract.http.instances:
        user = await stack.user()
        await user.call("instances", stack.contract.http.instances)
