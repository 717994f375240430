"""Sessions acknowledged before and while replicas and Redis are restarted, then read from every replica."""

import asyncio

from limpet.checkers.restart_persistence import SESSIONS
from limpet.faults.base import Fault
from limpet.faults.pods import DeletePod, KillPod, ReplaceAll
from limpet.faults.redis import RestartRedis
from limpet.workloads.ledger import fill, fill_until, read_everywhere, remove
from limpet.workloads.stack import Stack

DELETED = 10  # of the sessions of each round, before the fault: they must stay away


async def endure(stack: Stack) -> None:
    """One round for each fault: acknowledged sessions, the fault while more are made, all replicas' views, clean-up."""
    faults: tuple[Fault, ...] = (DeletePod(), KillPod(), ReplaceAll(), RestartRedis())
    for fault in faults:
        if not await _round(stack, fault):
            break


async def _round(stack: Stack, fault: Fault) -> bool:
    stack.history.note("round", fault.name)
    kept = await fill(stack, SESSIONS + DELETED)
    await remove(stack, kept[:DELETED])
    over = asyncio.Event()
    meanwhile = asyncio.create_task(fill_until(stack, over))
    try:
        recovered = await stack.strike(fault)
    finally:
        over.set()
        during = await meanwhile
    await read_everywhere(stack, kept[DELETED:] + during)
    await remove(stack, kept[DELETED:] + during)
    return recovered
