"""What every ledger needs: sessions made and written to, and what each replica shows of them afterwards."""

import asyncio
from typing import Any

from limpet.clients.sessions import Pace, User
from limpet.clock import Deadline, sleep
from limpet.workloads.stack import Stack, at_most

CONCURRENT = 8
CREATE_TRIES = 5
LATE_S, LATE_EVERY_S = 3.0, 0.3


async def insist(user: User, key: str | None = None, *, op: str = "create", pace: Pace = "any") -> str | None:
    """A new session, asked for again (with the same key) when the answer was an error, a few times."""
    for _ in range(CREATE_TRIES):
        session = await user.create(key=key, op=op, pace=pace)
        if session:
            return session
    return None


async def fill(stack: Stack, sessions: int) -> list[str]:
    """Make this many sessions through all replicas and write a value of its own into each; the acknowledged ones."""
    made: list[str] = []
    users = [await stack.user() for _ in range(CONCURRENT)]

    async def one(number: int) -> None:
        user = users[number % CONCURRENT]
        session = await insist(user, pace="quiet")
        if session:
            made.append(session)
            if stack.contract.http.update_field:
                record = await user.read(session)
                await user.update(session, distinct(record and record.get(stack.contract.http.update_field), session))

    for start in range(0, sessions, CONCURRENT):
        await at_most(CONCURRENT, [one(n) for n in range(start, min(start + CONCURRENT, sessions))])
    return made


async def fill_until(stack: Stack, over: asyncio.Event) -> list[str]:
    """Make sessions one after the other until `over` is set; the acknowledged ones."""
    user = await stack.user()
    made: list[str] = []
    while not over.is_set():
        session = await user.create(pace="quiet")
        if session:
            made.append(session)
    return made


async def remove(stack: Stack, sessions: list[str]) -> None:
    """Delete sessions through all replicas."""
    users = [await stack.user() for _ in range(CONCURRENT)]
    for start in range(0, len(sessions), CONCURRENT):
        batch = sessions[start : start + CONCURRENT]
        await at_most(CONCURRENT, [_delete(user, session) for user, session in zip(users, batch, strict=False)])


async def read_everywhere(stack: Stack, sessions: list[str]) -> None:
    """Each ready replica's list, asked past the ingress, and each session's record from one replica after the other.

    A list that lacks some of them is asked for again, for a while: one that is late is no loss.
    """
    pods = [pod for pod in await stack.snapshot() if pod.phase == "ready"]
    views: list[User] = [await stack.direct(pod) for pod in pods]
    for pod, view in zip(pods, views, strict=True):
        stack.history.note("view", pod.name, process=view.recorder.process)
        await _list_all(view, set(sessions))
    for number, session in enumerate(sessions if views else ()):
        await views[number % len(views)].read(session)


async def _list_all(view: User, sessions: set[str]) -> None:
    late = Deadline(LATE_S)
    while sessions - set(await view.list() or ()) and not late.passed():
        await sleep(LATE_EVERY_S)


async def _delete(user: User, session: str) -> None:
    await user.delete(session)


def distinct(previous: Any, token: str) -> Any:
    """A value like `previous` that no other session has: a table where there was one or nothing, else a text."""
    return f"limpet {token}" if isinstance(previous, str) else {"limpet": token}
