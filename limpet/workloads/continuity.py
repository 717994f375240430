"""Sessions watched by many at once: from the start, late, from the beginning again, slowly, with reconnects by choice.

Each session has its own cast of watchers, spread over the replicas. All reconnects are chosen by the watcher; no fault
is made here. What came of it is judged from the record alone.
"""

import asyncio
import contextlib

from limpet.checkers.agreement import END_WITHIN_S, LAG_S
from limpet.checkers.continuity import SESSIONS
from limpet.clients.follower import Follower
from limpet.clients.sessions import Pace, User
from limpet.clients.streams import Place, Watcher
from limpet.clock import Deadline, eventually, sleep
from limpet.errors import DeadlineError
from limpet.workloads.ledger import insist
from limpet.workloads.stack import Stack, at_most

ROUNDS = 3  # of reconnects by choice, in each session
ROUND_S = 0.7
AWAY_S = 0.4  # of those who come back after a pause
SLOW_PACE_S = 0.015  # a reader that takes 60 to 70 messages a second
BEYOND = 1_000_000
FEW = 5  # messages, after which one who only looks in leaves again
FEW_WITHIN_S = 5.0
FAST = 3  # one session out of so many speaks fast
OVER_S = 20.0  # after which a machine that cannot keep up is spared further rounds


async def watch(stack: Stack) -> None:
    """All sessions side by side, each from its start to after its end."""
    stream = stack.contract.websocket
    if stream is None or stream.seq is None:
        return
    users = list((await stack.user_of_each()).values()) or [await stack.user()]
    met: list[Place] = []
    await at_most(SESSIONS, [_Cast(stack, users, number, met).play() for number in range(SESSIONS)])


class _Cast:
    """One session and its watchers."""

    def __init__(self, stack: Stack, users: list[User], number: int, met: list[Place]) -> None:
        """`met`: places in the streams of all sessions, for those who come with one of another session."""
        self._stack = stack
        self._number = number
        self._met = met
        self._home = users[number % len(users)]
        stream = stack.contract.websocket
        anywhere = stream is not None and stream.any_replica
        self._users = [users[(number + n) % len(users)] for n in range(len(users))] if anywhere else [self._home]
        self._resumes = stream is not None and "after" in (stream.resume or {})
        self._pace: Pace = "fast" if number % FAST == 1 else "any"
        self._over = Deadline(OVER_S)
        self._session = ""

    async def play(self) -> None:
        """The whole life of the session."""
        session = await insist(self._home, pace=self._pace)
        if session is None:
            return
        self._session = session
        cast = [await self._follow(0), await self._follow(1)]
        await sleep(ROUND_S)
        cast.append(await self._follow(0))  # joins in the middle
        if self._resumes:
            if self._pace == "any":
                cast.append(await self._follow(1, Place(0)))
            for turn in range(ROUNDS):
                if not self._over.passed():
                    await self._round(turn, *cast[:3])
            await self._look_in(cast[0].watcher.place)
            await self._all_at_once(cast)
        await sleep(ROUND_S)
        await self._end(cast)

    def _user(self, place: int) -> User:
        return self._users[place % len(self._users)]

    async def _follow(self, place: int, begin: Place | None = None) -> Follower:
        follower = await self._stack.follower(self._user(place))
        await follower.start(self._session, begin)
        return follower

    async def _round(self, turn: int, stays: Follower, moves: Follower, pauses: Follower) -> None:
        """One reads slowly, one moves to the next replica, one goes away for a while and comes back elsewhere."""
        stays.watcher.pace_s = SLOW_PACE_S if turn == 0 else 0.0
        await moves.come_back(self._user(turn))
        await pauses.come_back(self._user(turn + 1), after_s=AWAY_S)
        await sleep(ROUND_S)

    async def _look_in(self, here: Place | None) -> None:
        """Come from beyond the end, and with a place in the stream of another session."""
        if here is None:
            return
        foreign = next((place for place in self._met if place.stream not in ("", here.stream)), None)
        self._met.append(here)
        places = [Place(here.after + BEYOND, here.stream), *([foreign] if foreign else ())]
        for number, place in enumerate(places):
            watcher = await self._stack.watcher(self._user(number), whole=True)
            await watcher.connect(self._session, place)
            await self._get(watcher)
            await watcher.close()

    async def _get(self, watcher: Watcher) -> None:
        async def has_some() -> bool:
            return watcher.events >= FEW or not watcher.open

        with contextlib.suppress(DeadlineError):
            await eventually(has_some, within_s=FEW_WITHIN_S, what=f"{FEW} events of {self._session}")

    async def _all_at_once(self, cast: list[Follower]) -> None:
        """Everybody reconnects in the same moment, each to the next replica."""
        async with asyncio.TaskGroup() as group:
            for number, follower in enumerate(cast):
                group.create_task(follower.come_back(self._user(number + 1)))

    async def _end(self, cast: list[Follower]) -> None:
        """Delete the session, wait until all have seen its end, and come back for it later."""
        await self._user(1).delete(self._session)
        await at_most(len(cast), [self._ended(follower) for follower in cast])
        last = max((follower.watcher.place for follower in cast if follower.watcher.place), key=_after, default=None)
        await sleep(LAG_S)
        places: list[Place | None] = [None]
        if self._resumes and last is not None:
            places += [Place(0, last.stream), Place(last.after // 2, last.stream), last]
        for number, place in enumerate(places):
            late = await self._stack.watcher(self._user(number), whole=True)
            if await late.connect(self._session, place):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(late.ended(), END_WITHIN_S)
            await late.close()

    async def _ended(self, follower: Follower) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(follower.ended(), END_WITHIN_S)
        await follower.leave()


def _after(place: Place) -> int:
    return place.after
