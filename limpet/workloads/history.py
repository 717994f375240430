"""Gadgets that run for a while, watched from the start, late, twice and not at all; then what was recorded of them."""

from collections.abc import Callable

from limpet.checkers.history import COMPLETE_WITHIN_S, LIMIT, RUN_S, SESSIONS
from limpet.checkers.recorded import Event, events, gaps
from limpet.clients.sessions import User
from limpet.clients.streams import Watcher
from limpet.clock import Deadline, sleep
from limpet.contract import Endpoint
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack, at_most

LOOK_EVERY_S = 0.25
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
    """Replay, search, and replay again, so that the search can be judged while the history still grows.

    Replays are repeated until they have as much as was streamed, no holes and do not grow, or the time is over.
    """
    http, over = stack.contract.http, Deadline(COMPLETE_WITHIN_S)
    wanted = max((watcher.events for watcher in watchers), default=1)
    running = when == "live"  # a running gadget never settles

    def settled(now: list[Event], before: list[Event]) -> bool:
        return len(now) >= wanted and (running or (len(now) == len(before) and not gaps(now)))

    def found(now: list[Event], _: list[Event]) -> bool:
        return running or len(now) >= wanted

    if http.events:
        wanted = len(await repeat(user, f"replay {when}", http.events, session, enough=settled, over=over))
    if http.search:
        await repeat(user, f"search {when}", http.search, session, enough=found, over=over)
    if http.events and http.search and not running:
        await repeat(user, f"replay {when}", http.events, session, enough=found, over=over)


async def repeat(
    user: User,
    op: str,
    endpoint: Endpoint,
    session: str,
    *,
    enough: Callable[[list[Event], list[Event]], bool],
    over: Deadline,
) -> list[Event]:
    """Ask until an answer is enough beside the one before it, once more when the time is over; the last answer."""
    params: dict[str, str] = {"limit": str(LIMIT)} | ({} if "{id}" in endpoint.path else {"session_id": session})
    before: list[Event] = []
    while True:
        last = over.passed()
        answer = await user.call(op, endpoint, session=session, params=params)
        now = events(answer.body, user.contract) if answer and answer.good else []
        if last or enough(now, before):
            return now
        before = now
        await sleep(LOOK_EVERY_S)
