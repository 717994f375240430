"""Many clients, each with its cookie, over HTTP and WebSocket; then forged and dead cookies."""

import secrets

from limpet.checkers.stickiness import CLIENTS, FORGERIES, REQUESTS
from limpet.clients.sessions import User
from limpet.faults.pods import DeletePod
from limpet.workloads.stack import Stack, at_most

CONCURRENT = 10


async def stick(stack: Stack) -> None:
    """Clients that stay, then clients whose cookie names nobody."""
    await stack.snapshot()
    users = [await stack.user() for _ in range(CLIENTS)]
    await at_most(CONCURRENT, [_client(stack, user) for user in users])
    await stack.snapshot()
    await _forged(stack)
    await _dead(stack, users)


async def _client(stack: Stack, user: User) -> None:
    """One browser: requests, a session of its own, and its stream."""
    for _ in range(REQUESTS - 1):
        await stack.visit(user, "request")
    session = await user.create()
    if session:
        await stack.looker.session(session, "who")
    if session and stack.contract.websocket:
        watcher = await stack.watcher(user)
        stack.history.note("socket", process=user.recorder.process, session=session)
        await watcher.connect(session)
        await watcher.close()
    if session:
        await user.delete(session)


async def _forged(stack: Stack) -> None:
    """Cookies that the ingress never set."""
    for _ in range(FORGERIES):
        user = await stack.user()
        user.cookie = secrets.token_hex(8)
        await stack.visit(user, "forged")


async def _dead(stack: Stack, users: list[User]) -> None:
    """The cookies of a replica that was deleted; the clients come back when the others are ready again."""
    if await stack.strike(DeletePod()):
        await stack.snapshot()
        await at_most(CONCURRENT, [_returns(stack, user) for user in users])


async def _returns(stack: Stack, user: User) -> None:
    await stack.visit(user, "returns")
    await stack.visit(user, "returned")
