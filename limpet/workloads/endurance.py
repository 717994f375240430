"""Many watchers of many sessions, while replicas are deleted, killed, stopped and replaced and Redis is restarted.

One fault after the other on one stack, each to its recovery, and two at once: while one replica stands still beyond
its lease another is killed. Watchers come through the ingress and come back as a user's browser should
(clients/follower.py). At the end what was recorded is asked for, to be compared with what was streamed.
"""

import asyncio
from collections.abc import Callable, Mapping

from limpet.checkers.endurance import FAULTS, PAUSED, SESSIONS, WATCHERS, go_on_s
from limpet.checkers.history import COMPLETE_WITHIN_S
from limpet.checkers.recorded import Event
from limpet.clients.sessions import User
from limpet.clock import Deadline
from limpet.errors import DeadlineError
from limpet.faults.base import Fault
from limpet.faults.pause import PauseBeyondLease
from limpet.faults.pods import DeletePod, KillAnother, KillPod, ReplaceAll, ScaleDown
from limpet.faults.redis import RestartRedis
from limpet.targets.base import Scale
from limpet.workloads.audience import Audience
from limpet.workloads.history import repeat
from limpet.workloads.ledger import CONCURRENT
from limpet.workloads.stack import Stack, at_most

MAKE: Mapping[str, Callable[[], Fault]] = {
    "pod delete": DeletePod,
    "pod kill": KillPod,
    "Redis restart": RestartRedis,
    "scale down": ScaleDown,
    "roll-out": ReplaceAll,
}


async def endure(stack: Stack) -> None:
    """All faults, with the same watchers from the beginning to the end."""
    stream = stack.contract.websocket
    if stream is None or stream.seq is None:
        return
    can = stack.target.capabilities()
    if not can.get("scale", "this target cannot"):  # one to be stopped, one to be killed, one that serves
        await stack.target.act(Scale(stack.target.replicas + 1))
        await stack.ready()
    users = [await stack.user() for _ in range(CONCURRENT)]
    audience = await Audience.gather(stack, users, SESSIONS, WATCHERS)
    await audience.go_on(go_on_s(stack.contract))
    sessions = list(audience.sessions)
    for name, capability in FAULTS.items():
        why = can.get(capability, "this target cannot")
        if why:
            stack.history.note("fault", "unsupported", fault=name, why=why)
            continue
        stack.history.note("round", name)
        recovered = await (_pause(stack) if name == PAUSED else stack.strike(MAKE[name]()))
        await audience.go_on(go_on_s(stack.contract))
        if not recovered:
            break
    await audience.end()
    await at_most(CONCURRENT, [_replay(stack, users[0], session, audience) for session in sessions])


async def _pause(stack: Stack) -> bool:
    """One replica beyond its lease; once it is not listed any more another is killed. Whether all recovered."""
    if stack.contract.redis.heartbeat is None:
        return True
    fault = PauseBeyondLease(stack.contract)
    pausing = asyncio.create_task(stack.strike(fault))
    killed = True
    try:
        await fault.unlisted(stack.target)
        if not stack.target.capabilities().get("kill", "this target cannot"):
            killed = await stack.strike(KillAnother())
    except DeadlineError as error:
        stack.history.note("gave up", "two at once", why=str(error))
    finally:
        paused = await pausing
    return paused and killed


async def _replay(stack: Stack, user: User, session: str, audience: Audience) -> None:
    """Ask for what was recorded until it is as much as was streamed, or the time is over."""
    endpoint = stack.contract.http.events
    if endpoint is None:
        return
    wanted = max((one.watcher.events for one in audience.followers[session]), default=1)

    def enough(now: list[Event], _: list[Event]) -> bool:
        return len(now) >= wanted

    await repeat(user, "replay", endpoint, session, enough=enough, over=Deadline(COMPLETE_WITHIN_S))
