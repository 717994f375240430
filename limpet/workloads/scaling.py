"""2 -> 3 -> 5 -> 2 replicas while clients go on creating, reading, listing and deleting."""

import asyncio

from limpet.checkers.membership import are_members
from limpet.checkers.scaling import BURST_PER_REPLICA, SLACK_S, STEPS, TRAFFIC
from limpet.clients.sessions import User
from limpet.clock import Deadline, sleep
from limpet.errors import DeadlineError
from limpet.targets.base import Scale
from limpet.workloads.ledger import fill, insist, read_everywhere, remove
from limpet.workloads.stack import Stack, at_most

CLIENTS = 4
PACE_S = 0.05
LOOK_EVERY_S = 0.1
KEPT = 30  # sessions that live through all of it
DECLARED = STEPS[0]


async def grow_and_shrink(stack: Stack) -> None:
    """Carry out every step under traffic; after each, who registered and who takes new work."""
    await _step(stack, DECLARED)
    kept = await fill(stack, KEPT)
    over = asyncio.Event()
    traffic = [asyncio.create_task(_traffic(await stack.user(sticky=bool(n % 2)), over)) for n in range(CLIENTS)]
    made: list[str] = []
    try:
        for replicas in STEPS[1:]:
            if not await _step(stack, replicas):
                break
    finally:
        over.set()
        for task in traffic:
            made += await task
    await read_everywhere(stack, kept + made)
    await remove(stack, kept + made)


async def _traffic(user: User, over: asyncio.Event) -> list[str]:
    """One client: a session made, read, listed; every other one deleted again. Those that stay."""
    stay: list[str] = []
    for number in range(TRAFFIC):
        if over.is_set():
            break
        session = await user.create()
        if session:
            await user.read(session)
            await user.list()
            if number % 2:
                stay.append(session)
            else:
                await user.delete(session)
        await sleep(PACE_S)
    return stay


async def _step(stack: Stack, replicas: int) -> bool:
    """Scale, wait, look at the heartbeats until they follow, and let new clients bring new work."""
    stack.history.note("scale", str(replicas))
    try:
        await stack.target.act(Scale(replicas))
        await stack.ready()
    except DeadlineError as error:
        stack.history.note("not scaled", str(replicas), why=str(error))
        return False
    stack.history.note("scaled", str(replicas))
    pods = await stack.snapshot()
    deadline = Deadline((stack.contract.timing.heartbeat_ttl_s or 0.0) + SLACK_S)
    instances = [pod.instance for pod in pods]
    while not are_members(await stack.looker.replicas(), instances) and not deadline.passed():
        await sleep(LOOK_EVERY_S)
    users = [await stack.user(sticky=False) for _ in range(CLIENTS)]
    await at_most(CLIENTS, [_burst(stack, user, replicas * BURST_PER_REPLICA // CLIENTS) for user in users])
    return True


async def _burst(stack: Stack, user: User, sessions: int) -> None:
    for _ in range(sessions):
        session = await insist(user, op="new work")
        if session:
            await stack.looker.session(session, "who")
            await user.delete(session)
