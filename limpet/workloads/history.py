"""Gadgets that run for a while, watched from the start, late, twice and not at all; then what was recorded of them."""

from limpet.checkers.history import COMPLETE_WITHIN_S, RUN_S, SESSIONS, items
from limpet.clients.sessions import User
from limpet.clients.streams import Watcher
from limpet.clock import Deadline, sleep
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack, at_most

LOOK_EVERY_S = 0.25
LIMIT = {"limit": "1000"}
KINDS = {"watched": 1, "late": 0, "twice": 2, "unwatched": 0}  # with how many watchers from the start


async def record(stack: Stack) -> None:
    """Run sessions of every kind, ask for what was recorded while they run and after they were deleted."""
    users = list((await stack.user_of_each()).values()) or [await stack.user()]
    await at_most(SESSIONS, [_session(stack, users, number) for number in range(SESSIONS)])


async def _session(stack: Stack, users: list[User], number: int) -> None:
    kind = list(KINDS)[number % len(KINDS)]
    home = users[number % len(users)]
    session = await insist(home)
    if session is None:
        return
    stack.history.note("kind", kind, session=session)
    watchers = [await _watch(stack, home, session) for _ in range(KINDS[kind])]
    await sleep(RUN_S / 2)
    if kind == "late":
        watchers.append(await _watch(stack, home, session))
    await sleep(RUN_S / 2)
    other = users[(number + 1) % len(users)]
    await _ask(stack, other, session, "live", watchers)
    await other.delete(session)
    for watcher in watchers:
        await watcher.close()
    await _ask(stack, other, session, "after", watchers)


async def _watch(stack: Stack, user: User, session: str) -> Watcher:
    watcher = await stack.watcher(user, whole=True)
    await watcher.connect(session)
    return watcher


async def _ask(stack: Stack, user: User, session: str, when: str, watchers: list[Watcher]) -> None:
    """Replay until it has as much as was streamed and does not grow, or the time is over; then search once."""
    http = stack.contract.http
    deadline = Deadline(COMPLETE_WITHIN_S)
    wanted = max((watcher.events for watcher in watchers), default=1)
    before = -1
    while http.events:
        answer = await user.call(f"replay {when}", http.events, session=session, params=LIMIT)
        count = len(items(answer.body)) if answer and answer.good else 0
        settled = count >= wanted and (when == "live" or count == before)  # a running gadget never settles
        if settled or deadline.passed():
            break
        before = count
        await sleep(LOOK_EVERY_S)
    if http.search:
        await user.call(f"search {when}", http.search, session=session, params={"session_id": session, **LIMIT})
