"""Sessions, and those who follow them as users do: through the ingress, with its cookie, and back when cut off."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Self

from limpet.checkers.agreement import END_WITHIN_S
from limpet.clients.follower import Follower
from limpet.clients.sessions import User
from limpet.clock import Deadline, eventually, sleep
from limpet.errors import DeadlineError
from limpet.workloads.ledger import CONCURRENT, insist
from limpet.workloads.stack import Stack, at_most

DELETE_WITHIN_S = 20.0  # a lock may have died with its holder
DELETE_EVERY_S = 0.1
GONE = 404


class Audience:
    """Running sessions with their followers.

    Attributes:
        sessions: those that were acknowledged and not deleted here.
        followers: session -> who follows it.
    """

    def __init__(self, stack: Stack, users: Sequence[User]) -> None:
        self._stack = stack
        self._users = users
        self.sessions: list[str] = []
        self.followers: dict[str, list[Follower]] = {}

    @classmethod
    async def gather(cls, stack: Stack, makers: Sequence[User], sessions: int, followers: int) -> Self:
        """So many sessions, made by `makers` in turn, and so many followers in all, who come through the ingress."""
        users = [await stack.user() for _ in range(CONCURRENT)]
        for user in users:
            await user.list()  # brings the cookie
        audience = cls(stack, users)
        made: dict[int, str] = {}

        async def make(number: int) -> None:
            session = await insist(makers[number % len(makers)])
            if session:
                made[number] = session

        await at_most(CONCURRENT, [make(number) for number in range(sessions)])
        audience.sessions = [made[number] for number in sorted(made)]
        audience.followers = {session: [] for session in audience.sessions}
        count = followers if audience.sessions else 0
        await at_most(CONCURRENT, [audience._follow(number) for number in range(count)])
        return audience

    def of(self, sessions: Collection[str]) -> list[Follower]:
        """The followers of these sessions."""
        return [one for session in sessions for one in self.followers[session]]

    async def go_on(self, within_s: float) -> None:
        """Wait until every follower has an event that came from now on, or the end; written down where one has not."""
        had = {one: one.watcher.events for one in self.of(self.sessions)}

        async def all_have_more() -> bool:
            return all(one.watcher.events > count or one.watcher.over for one, count in had.items())

        try:
            await eventually(all_have_more, within_s=within_s, what="an event for every watcher")
        except DeadlineError as error:
            self._stack.history.note("gave up", "next event", why=str(error))

    async def until(self, events: int, within_s: float) -> None:
        """Wait until all of them together have had so many events; written down where they have not."""

        async def enough() -> bool:
            return sum(one.watcher.events for one in self.of(self.followers)) >= events

        try:
            await eventually(enough, within_s=within_s, what=f"{events} events in all")
        except DeadlineError as error:
            self._stack.history.note("gave up", "events", why=str(error))

    async def delete(self, session: str, user: User) -> None:
        """Delete a session, asked for again where it is not known whether it was."""
        self.sessions.remove(session)
        over = Deadline(DELETE_WITHIN_S)
        while True:
            answer = await user.call("delete", self._stack.contract.http.delete, session=session)
            if (answer and (answer.good or answer.status == GONE)) or over.passed():
                break
            await sleep(DELETE_EVERY_S)

    async def end(self) -> None:
        """Delete what is left and wait until everybody has seen the end."""
        left = list(self.sessions)
        for start in range(0, len(left), CONCURRENT):
            batch = left[start : start + CONCURRENT]
            jobs = [self.delete(session, user) for session, user in zip(batch, self._users, strict=False)]
            await at_most(CONCURRENT, jobs)
        everybody = self.of(self.followers)
        await at_most(max(1, len(everybody)), [self._ended(one) for one in everybody])

    async def leave(self) -> None:
        """Everybody goes away; what runs runs on."""
        everybody = self.of(self.followers)
        await at_most(max(1, len(everybody)), [one.leave() for one in everybody])

    async def _follow(self, number: int) -> None:
        session = self.sessions[number % len(self.sessions)]
        follower = await self._stack.follower(self._users[number % len(self._users)], whole=False)
        await follower.start(session)
        self.followers[session].append(follower)

    async def _ended(self, follower: Follower) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(follower.ended(), END_WITHIN_S)
        await follower.leave()
