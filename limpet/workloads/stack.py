"""What a workload works with: a running target, the history that everything goes into, and users to act as."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from random import Random
from typing import Any, Self

from limpet import seeds
from limpet.clients.follower import Follower
from limpet.clients.redis_keys import Looker
from limpet.clients.sessions import TIMEOUT_S, User
from limpet.clients.streams import Watcher
from limpet.contract import Contract
from limpet.faults.base import Fault, strike
from limpet.history import History
from limpet.targets.base import Pod, Target
from limpet.targets.ready import all_ready


class Stack:
    """A target with its history and seed. Users and watchers made here are closed with it.

    Attributes:
        let_others_begin: for a suite that runs alone: from now on others may run beside it.
    """

    def __init__(self, target: Target, history: History, seed: int) -> None:
        self.target = target
        self.history = history
        self.contract: Contract = target.contract
        self.random = seeds.stream(seed, "workload")
        self.let_others_begin: Callable[[], None] = lambda: None
        self._open = AsyncExitStack()
        self.looker = Looker(self.contract, history, None)
        if not target.capabilities().get("redis", "this target cannot"):
            redis = target.redis()
            self._open.push_async_callback(redis.aclose)
            self.looker = Looker(self.contract, history, redis)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def user(self, *, sticky: bool = True, timeout_s: float = TIMEOUT_S) -> User:
        """A new user who arrives through the ingress, and waits so long for each answer."""
        return await self._open.enter_async_context(
            User(self.contract, self.history, self.target.base_url, sticky=sticky, timeout_s=timeout_s)
        )

    async def direct(self, pod: Pod, *, timeout_s: float = TIMEOUT_S) -> User:
        """A user who calls one pod past the ingress, and waits so long for each answer."""
        url = f"http://{pod.address}"
        return await self._open.enter_async_context(User(self.contract, self.history, url, timeout_s=timeout_s))

    async def watcher(self, user: User, *, whole: bool = False) -> Watcher:
        """A watcher that arrives where `user` does, with the cookie of `user`; `whole` records all that it gets."""
        return await self._open.enter_async_context(
            Watcher(self.contract, self.history, user.base_url, cookie=user.cookie, whole=whole)
        )

    async def follower(self, user: User, *, whole: bool = True) -> Follower:
        """A watcher that arrives where `user` does and comes back whenever its stream is cut; `whole` as of those."""
        watcher = await self.watcher(user, whole=whole)
        return await self._open.enter_async_context(Follower(watcher, Random(self.random.getrandbits(64))))

    async def snapshot(self) -> list[Pod]:
        """All pods as they are now, also written to the history as a line `pods`."""
        pods = list(await self.target.pods())
        self.history.note("pods", pods=[asdict(pod) for pod in pods])
        return pods

    async def ready(self) -> list[Pod]:
        """Wait until exactly the declared replicas are ready and listed. Raises DeadlineError."""
        return await all_ready(self.target)

    async def visit(self, user: User, op: str) -> str:
        """One request, recorded as `op`, that tells which replica answers: its instance id, "" when unknown.

        Where answers carry no instance header, the request creates a session, whose owner is looked up, and deletes it.
        """
        if self.contract.http.instance_header:
            answer = await user.call(op, self.contract.http.list)
            return answer.pod if answer and answer.good else ""
        session = await user.create(op=op)
        if session is None:
            return ""
        owners = (await self.looker.session(session, "who")).get("owners", ())
        await user.delete(session)
        return owners[0] if len(owners) == 1 else ""

    async def user_of_each(self) -> dict[str, User]:
        """For each ready replica, a user who calls it past the ingress: {instance id, or the pod's name: user}.

        What one replica does is shown without the ingress, so that a fault of stickiness is blamed on nothing else.
        """
        pods = [pod for pod in await self.target.pods() if pod.phase == "ready"]
        return {pod.instance or pod.name: await self.direct(pod) for pod in pods}

    async def another(self, user: User) -> User:
        """A new user who arrives where `user` does."""
        return await self._open.enter_async_context(User(self.contract, self.history, user.base_url))

    async def strike(self, fault: Fault) -> bool:
        """Carry out a fault from injection to recovery, recorded; whether the target recovered from it."""
        return await strike(fault, self.target, self.history)


async def at_most(width: int, jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs, `width` of them at a time. Raises what the first that fails raises."""
    gate = asyncio.Semaphore(width)

    async def one(job: Coroutine[Any, Any, None]) -> None:
        async with gate:
            await job

    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(one(job))
    except ExceptionGroup as several:
        raise several.exceptions[0] from several  # the first that failed ended the others
