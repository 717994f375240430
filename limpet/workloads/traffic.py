"""Clients that go on calling the service whatever happens to it: one session after the other, from create to delete.

Each writes down who it is, so that its requests can be told from others' although a client whose request came to
nothing known goes on under a new process number.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from limpet.clients.sessions import TIMEOUT_S, User
from limpet.clock import sleep
from limpet.workloads.ledger import distinct
from limpet.workloads.stack import Stack

OP = "client"
TRIES_EACH = 10  # users to be tried for each replica, to have some that are bound to it


class Client:
    """One user's traffic.

    A session on which a request failed is left alone from then on: whoever answers next may have to wait for what the
    lost request held, and that is no lack of the replica that answers.
    """

    def __init__(self, stack: Stack, user: User, number: int, *, sticky: bool, pace_s: float, bound: str = "") -> None:
        """`bound`: the replica that a user with a cookie is known to be bound to, "" where it is not known."""
        self._stack = stack
        self._user = user
        self._number = number
        self._sticky = sticky
        self._pace_s = pace_s
        self._bound = bound
        self._process = -1

    async def run(self, over: asyncio.Event) -> None:
        """Create, read, update, list, delete, again and again until `over` is set."""
        while not over.is_set():
            await self._one_session(over)

    async def _one_session(self, over: asyncio.Event) -> None:
        user = self._user
        await self._turn()
        session = await user.create()
        if session is None:
            return
        await self._turn()
        record = await user.read(session)
        if user.contract.http.read and record is None:
            return
        field = user.contract.http.update_field
        if field and record:
            await self._turn()
            if not await user.update(session, distinct(record.get(field), session)):
                return
        if not over.is_set():
            await self._turn()
            await user.list()
        await self._turn()
        await user.delete(session)

    async def _turn(self) -> None:
        """Wait for the next request's time, and say who makes it."""
        await sleep(self._pace_s)
        process = self._user.recorder.process
        if process != self._process:
            self._process = process
            self._stack.history.note(OP, number=self._number, process=process, sticky=self._sticky, bound=self._bound)


async def users_of(
    stack: Stack, instances: Collection[str], each: int, *, timeout_s: float = TIMEOUT_S
) -> list[tuple[User, str]]:
    """New users with cookies who are bound to these replicas, `each` to every one, as far as chance gives them.

    Where no log names instances ("") it is left open who is bound to which.
    """
    wanted = each * len(instances)
    found: list[tuple[User, str]] = []
    for _ in range(TRIES_EACH * len(instances)):
        if len(found) == wanted:
            break
        user = await stack.user(timeout_s=timeout_s)
        who = await stack.visit(user, "visit") if any(instances) else ""
        if who in instances and (not who or sum(other == who for _, other in found) < each):
            found.append((user, who))
    return found


@asynccontextmanager
async def beside(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Jobs that run while the block does, and are waited for at its end. Raises what the first that fails raises."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
            yield
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several
