"""Sessions from their start to after their end, with a look into Redis at every step.

Each session is created through one replica, watched through the next and deleted through another again, so that every
pair of roles meets on the same replica and on two different ones.
"""

from limpet.checkers.session_record import AFTER_S, ENDED_WITHIN_S, SESSIONS
from limpet.clients.sessions import User
from limpet.clients.streams import Watcher
from limpet.clock import eventually, sleep
from limpet.errors import DeadlineError
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack, at_most

CONCURRENT = 5
FIRST_MESSAGE_WITHIN_S = 5.0


async def live_and_die(stack: Stack) -> None:
    """Carry out the whole life of `SESSIONS` sessions, then look for what is left of them."""
    users = list((await stack.user_of_each()).values()) or [await stack.user()]
    ended: list[str] = []

    async def life(number: int) -> None:
        session = await _live(stack, users, number)
        if session:
            ended.append(session)

    await at_most(CONCURRENT, [life(number) for number in range(SESSIONS)])
    await _aftermath(stack, users, ended)


async def _live(stack: Stack, users: list[User], number: int) -> str | None:
    creator, viewer, deleter = _cast(users, number)
    session = await insist(creator, f"record-{number}-{stack.random.getrandbits(64):x}")
    if session is None:
        return None
    await stack.looker.session(session, "created")
    watcher = await _watch(stack, creator if _tied(stack) else viewer, session)
    if watcher:
        await stack.looker.session(session, "watched")
    deleted = await deleter.delete(session)
    if deleted:
        await stack.looker.session(session, "deleted")
        for user in users:
            await user.list()
            await user.read(session)
    if watcher:
        await _ended(stack, watcher, session)
    return session if deleted else None


def _cast(users: list[User], number: int) -> tuple[User, User, User]:
    """Who creates, views and deletes: all combinations in turn."""
    count = len(users)
    return users[number % count], users[number // count % count], users[number // count**2 % count]


def _tied(stack: Stack) -> bool:
    """Whether a stream can only be watched with the cookie of its owner."""
    return stack.contract.websocket is not None and not stack.contract.websocket.any_replica


async def _watch(stack: Stack, user: User, session: str) -> Watcher | None:
    if stack.contract.websocket is None:
        return None
    watcher = await stack.watcher(user)
    if not await watcher.connect(session):
        return None

    async def begun() -> bool:
        return watcher.count > 0

    try:
        await eventually(begun, within_s=FIRST_MESSAGE_WITHIN_S, what=f"first message of {session}")
    except DeadlineError as error:
        stack.history.note("gave up", "first message", session=session, why=str(error))
    return watcher


async def _ended(stack: Stack, watcher: Watcher, session: str) -> None:
    async def closed() -> bool:
        return not watcher.open

    try:
        await eventually(closed, within_s=ENDED_WITHIN_S, what=f"end of the stream of {session}")
    except DeadlineError as error:
        stack.history.note("gave up", "end of stream", session=session, why=str(error))


async def _aftermath(stack: Stack, users: list[User], ended: list[str]) -> None:
    """Two looks at what might still go on, `AFTER_S` apart, and a search for what was left behind."""
    http = stack.contract.http
    for step in ("after", "later"):
        for session in ended:
            await stack.looker.session(session, step)
            if http.events:
                await users[0].call(f"events {step}", http.events, session=session)
        if step == "after":
            await sleep(AFTER_S)
    if http.instances:
        await users[0].call("instances", http.instances)
    await stack.looker.traces_of(ended)
