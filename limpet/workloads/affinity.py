"""Two watchers who connect, move, close and lose their replica, in every order; after each step a look at `ws:{id}`."""

from itertools import permutations

from limpet.checkers.affinity import KILL_SLACK_S, SETTLED_WITHIN_S, STAYS_S
from limpet.clients.sessions import User
from limpet.clients.streams import Watcher
from limpet.clock import Deadline, sleep
from limpet.faults.pods import KillPod
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack, at_most

LOOK_EVERY_S = 0.05
FIRST, SECOND = 0, 1
ORDERS = sorted(
    {
        order
        for order in permutations((("open", FIRST), ("open", SECOND), ("close", FIRST), ("close", SECOND)))
        if order.index(("open", FIRST)) < order.index(("close", FIRST))
        and order.index(("open", SECOND)) < order.index(("close", SECOND))
    }
)


async def come_and_go(stack: Stack) -> None:
    """Every order of two watchers' opens and closes, moves between replicas, then a kill with sockets open."""
    homes = await stack.user_of_each()
    users = list(homes.values())
    if not users:
        return
    undisturbed = [_order(stack, users, order, f"order {number}") for number, order in enumerate(ORDERS)]
    if stack.contract.websocket and stack.contract.websocket.any_replica:
        undisturbed.append(_move(stack, users))
    await at_most(len(undisturbed), undisturbed)
    await _kill(stack, users)


def _places(stack: Stack, users: list[User]) -> tuple[User, User]:
    """Where the two watchers go: to different replicas, where a stream can be had from any."""
    anywhere = stack.contract.websocket is not None and stack.contract.websocket.any_replica
    return users[0], users[-1 if anywhere else 0]


async def _order(stack: Stack, users: list[User], order: tuple[tuple[str, int], ...], name: str) -> None:
    session = await insist(users[0])
    if session is None:
        return
    await stack.looker.session(session, "who")
    watchers: dict[int, Watcher] = {}
    for verb, number in order:
        if verb == "open":
            watchers[number] = await stack.watcher(_places(stack, users)[number])
            await watchers[number].connect(session)
        else:
            await watchers.pop(number).close()
        await _settle(stack, session, f"{name}: {verb} {number + 1}", list(watchers.values()), SETTLED_WITHIN_S)
    await users[0].delete(session)


async def _move(stack: Stack, users: list[User]) -> None:
    """One watcher that goes from replica to replica."""
    session = await insist(users[0])
    if session is None:
        return
    for number, user in enumerate((*users, *users)):
        watcher = await stack.watcher(user)
        await watcher.connect(session)
        await _settle(stack, session, f"move {number}: arrived", [watcher], SETTLED_WITHIN_S)
        await watcher.close()
        await _settle(stack, session, f"move {number}: left", [], SETTLED_WITHIN_S)
    await users[0].delete(session)


async def _kill(stack: Stack, users: list[User]) -> None:
    """A replica is killed while it has the only socket, the first of two, and the second of two."""
    casts = _casts(stack, users)
    sessions: dict[str, list[Watcher]] = {}
    for cast in casts:
        session = await insist(cast[0])
        if session is None:
            return
        await stack.looker.session(session, "who")
        sessions[session] = [await stack.watcher(user) for user in cast]
        for watcher in sessions[session]:
            await watcher.connect(session)
    await stack.snapshot()
    if not await stack.strike(KillPod()):
        return
    deadline = Deadline((stack.contract.timing.heartbeat_ttl_s or 0.0) + KILL_SLACK_S)
    for session, watchers in sessions.items():
        left = [watcher for watcher in watchers if watcher.open]
        await _settle(stack, session, "killed", left, deadline.left_s())


def _casts(stack: Stack, users: list[User]) -> list[tuple[User, ...]]:
    """Who watches what when the kill comes. Users of every replica, since the target chooses which one dies."""
    alone = [(user,) for user in users]
    if stack.contract.websocket is None or not stack.contract.websocket.any_replica:
        return [*alone]
    return [*alone, *zip(users, [*users[1:], users[0]], strict=True)]


async def _settle(stack: Stack, session: str, step: str, watchers: list[Watcher], within_s: float) -> None:
    """Look until `ws:{id}` says what these open sockets would have it say, and stays so, or the time is over."""
    over, stays = Deadline(within_s), Deadline(STAYS_S)
    pods = {watcher.pod for watcher in watchers if watcher.open}
    while True:
        last = over.passed()
        named = (await stack.looker.session(session, step)).get("websocket")
        right = (named in pods or ("" in pods and named)) if pods else named is None
        if not right:
            stays = Deadline(STAYS_S)
        if stays.passed() or (last and not right):
            return
        await sleep(LOOK_EVERY_S)
