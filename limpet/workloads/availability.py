"""One replica after the other is lost without being asked, while clients go on calling the service.

Each round has clients of its own, since after a loss all old ones are bound to the replicas that were left. It begins
with a quiet while, in which nothing may fail.
"""

import asyncio

from limpet.checkers.availability import PATIENCE_S, WINDOW_S
from limpet.clock import sleep
from limpet.faults.base import Fault
from limpet.faults.pods import KillPod
from limpet.faults.silence import CutFromRedis, PausePod
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack
from limpet.workloads.traffic import Client, beside, users_of

STICKY_EACH = 2  # clients that keep their cookie, of each replica
LOOSE = 2  # clients that keep none
PACE_S = 0.1
SESSIONS = 8  # that go on all the time, so that a lost replica leaves something behind
STEADY_S = 0.6
AFTER_S = 0.3
CLIENTS_MAX = 100  # of one round
LASTS_S = WINDOW_S + 0.3  # beyond the time in which requests may fail
NOTICED_S = 0.5  # a replica without Redis needs a moment to be found not ready


async def lose_replicas(stack: Stack) -> None:
    """One round for each fault, until one of them is not recovered from."""
    users = await stack.user_of_each()
    for number in range(SESSIONS):
        await insist(list(users.values())[number % len(users)])
    faults: tuple[Fault, ...] = (KillPod(), CutFromRedis(NOTICED_S + LASTS_S), PausePod(LASTS_S))
    for number, fault in enumerate(faults):
        if not await _round(stack, fault, number * CLIENTS_MAX):
            break


async def _round(stack: Stack, fault: Fault, first: int) -> bool:
    stack.history.note("round", fault.name)
    pods = [pod for pod in await stack.target.pods() if pod.phase == "ready"]
    bound = await users_of(stack, [pod.instance for pod in pods], STICKY_EACH, timeout_s=PATIENCE_S)
    loose = [await stack.user(sticky=False, timeout_s=PATIENCE_S) for _ in range(LOOSE)]
    users = [(user, True, who) for user, who in bound] + [(user, False, "") for user in loose]
    clients = [
        Client(stack, user, first + number, sticky=sticky, pace_s=PACE_S, bound=who)
        for number, (user, sticky, who) in enumerate(users)
    ]
    over = asyncio.Event()
    async with beside(*(client.run(over) for client in clients)):
        await sleep(STEADY_S)
        # every fault takes the oldest that is ready
        stack.history.note("struck", fault.name, pod=pods[0].name, instance=pods[0].instance)
        recovered = await stack.strike(fault)
        await sleep(AFTER_S)
        over.set()
    return recovered
