"""Several clients on different replicas who work on one session at the same time, over many sessions."""

from collections.abc import Callable
from functools import partial
from random import Random

from limpet.checkers.shared_view import OPERATIONS
from limpet.clients.sessions import User
from limpet.workloads.ledger import distinct, insist
from limpet.workloads.stack import Stack, at_most

GROUPS = 6  # sessions worked on side by side
CLIENTS = 4  # of each session
STEPS = 12  # of each client, in the life of one session
UPDATES, LISTS = 0.35, 0.3  # shares of the steps, and of the looks
LAST_STEPS = 3  # of each client, while the session is being deleted
PER_SESSION = 2 + CLIENTS * (STEPS + LAST_STEPS)


async def work_together(stack: Stack) -> None:
    """As many sessions as it takes to have `OPERATIONS` operations, each created, worked on and deleted."""
    homes = list((await stack.user_of_each()).values())
    sessions = -(-OPERATIONS // PER_SESSION)
    await at_most(GROUPS, [_life(stack, homes, number) for number in range(sessions)])


async def _life(stack: Stack, homes: list[User], number: int) -> None:
    users = [await stack.another(homes[(number + place) % len(homes)]) for place in range(CLIENTS)] if homes else []
    if not users:
        return
    session = await insist(users[0], f"view-{number}-{stack.random.getrandbits(64):x}")
    if session is None:
        return
    record = await users[0].read(session)
    field = stack.contract.http.update_field
    before = record.get(field) if record and field else None
    rolls = [Random(stack.random.getrandbits(64)) for _ in users]
    await at_most(
        CLIENTS,
        [
            _steps(user, session, roll, STEPS, partial(_value, before, f"{number}.{place}"))
            for place, (user, roll) in enumerate(zip(users, rolls, strict=True))
        ],
    )
    await at_most(
        CLIENTS,
        [
            _delete(user, session)
            if place == number % CLIENTS
            else _steps(user, session, roll, LAST_STEPS, partial(_value, before, f"{number}.{place}.last"))
            for place, (user, roll) in enumerate(zip(users, rolls, strict=True))
        ],
    )
    for user in users:
        await _look(user, session, rolls[0])
        await user.close()


def _value(before: object, prefix: str, step: int) -> object:
    return distinct(before, f"{prefix}.{step}")


async def _steps(user: User, session: str, roll: Random, steps: int, value: Callable[[int], object]) -> None:
    """Updates with values of their own, reads and lists, in random order."""
    for step in range(steps):
        if user.contract.http.update and roll.random() < UPDATES:
            await user.update(session, value(step))
        else:
            await _look(user, session, roll)


async def _delete(user: User, session: str) -> None:
    await user.delete(session)


async def _look(user: User, session: str, roll: Random) -> None:
    if user.contract.http.read and roll.random() >= LISTS:
        await user.read(session)
    else:
        await user.list()
