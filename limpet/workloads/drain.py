"""All replicas replaced one by one while clients call and watchers watch.

Besides the usual traffic, each replica that is asked to stop has requests under way just then: their clients send the
second half only afterwards. And each is asked whether it is ready until it is gone.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from limpet.checkers.drain import SESSIONS, SLOW_EACH, WATCHERS_EACH
from limpet.clients.follower import Follower
from limpet.clients.sessions import User
from limpet.clock import Deadline, sleep
from limpet.faults.pods import ReplaceAll
from limpet.targets.base import Pod
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack, at_most
from limpet.workloads.traffic import Client, beside, users_of

CLIENTS = 4
PACE_S = 0.1
FAST = 1  # so many sessions speak fast: what is lost between two replicas is lost there first
STEADY_S = 0.5
AFTER_S = 0.5
LOOK_EVERY_S = 0.02
ASK_EVERY_S = 0.05
ASK_TIMEOUT_S = 1.0
ASKED_WITHIN_S = 1.0  # of its time: if a replica does not say by then that it stops, it was asked to all the same
HOLD_S = 0.8  # from then to the second half of what it has under way
END_WITHIN_S = 10.0


async def roll_out(stack: Stack) -> None:
    """Sessions with their watchers, steady traffic, the roll-out, and what is left behind after it."""
    users = [await stack.user() for _ in range(CLIENTS)]
    sessions: dict[str, User] = {}
    await at_most(CLIENTS, [_begin(users[n % CLIENTS], n, sessions) for n in range(SESSIONS)])
    cast = await _watch(stack, sessions)
    clients = [
        Client(stack, await stack.user(sticky=n % 2 == 0), n, sticky=n % 2 == 0, pace_s=PACE_S) for n in range(CLIENTS)
    ]
    over = asyncio.Event()
    async with beside(*(client.run(over) for client in clients)):
        await sleep(STEADY_S)
        await _replace_all(stack)
        await sleep(AFTER_S)
        over.set()
    await stack.snapshot()
    await stack.looker.replicas()
    for session in sessions:
        await stack.looker.session(session, "after")
    await at_most(CLIENTS, [_delete(user, session) for session, user in sessions.items()])
    await at_most(max(len(cast), 1), [_leave(follower) for follower in cast])


async def _begin(user: User, number: int, sessions: dict[str, User]) -> None:
    session = await insist(user, pace="fast" if number < FAST else "any")
    if session:
        sessions[session] = user


async def _watch(stack: Stack, sessions: Mapping[str, User]) -> list[Follower]:
    """Watchers of each session: one who arrives like its creator, the others like new users where that is as good."""
    stream = stack.contract.websocket
    cast: list[Follower] = []
    starts = []
    for session, creator in sessions.items() if stream else ():
        for place in range(WATCHERS_EACH):
            new = place and stream and stream.any_replica
            follower = await stack.follower(await stack.user() if new else creator, whole=False)
            starts.append(follower.start(session))
            cast.append(follower)
    await at_most(max(len(starts), 1), starts)
    return cast


async def _delete(user: User, session: str) -> None:
    await user.delete(session)


async def _leave(follower: Follower) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(follower.ended(), END_WITHIN_S)
    await follower.leave()


async def _replace_all(stack: Stack) -> None:
    """The roll-out, with requests under way at every replica that it ends."""
    pods = [pod for pod in await stack.target.pods() if pod.phase == "ready"]
    over = asyncio.Event()
    halves = {pod.instance: asyncio.Event() for pod in pods}
    slow = [
        user.create_slowly(halves[who], op="slow create")
        for user, who in await users_of(stack, halves.keys(), SLOW_EACH)
    ]
    ends = [_end(stack, pod, halves[pod.instance], over) for pod in pods]
    async with beside(*map(_made, slow), *ends):
        await stack.strike(ReplaceAll())
        over.set()


async def _made(create: Coroutine[Any, Any, str | None]) -> None:
    await create


async def _end(stack: Stack, pod: Pod, second_half: asyncio.Event, over: asyncio.Event) -> None:
    """Wait for the end of a replica to begin, then ask whether it is ready until it is gone."""
    ready = stack.contract.http.ready
    user = await stack.direct(pod, timeout_s=ASK_TIMEOUT_S)

    async def is_there(*phases: str) -> bool:
        return any(one.name == pod.name and one.phase in phases for one in await stack.target.pods())

    while not over.is_set() and await is_there("pending", "ready", "not ready"):
        await sleep(LOOK_EVERY_S)
    asked = Deadline(stack.contract.timing.pre_stop_s + ASKED_WITHIN_S)
    hold: Deadline | None = None
    last = False
    while not last:
        last = over.is_set() or not await is_there("terminating")
        answer = await user.call("ready", ready, value=pod.name) if ready else None
        stopping = ready is not None and not (answer and answer.good)
        hold = hold or (Deadline(HOLD_S) if stopping or asked.passed() else None)
        if last or (hold and hold.passed()):
            second_half.set()
        await sleep(ASK_EVERY_S)
