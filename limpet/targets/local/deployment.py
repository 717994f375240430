"""The pods of the stack as a deployment keeps them: as many as wanted, replaced when deleted, rolled out one by one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from limpet.errors import LimpetError
from limpet.targets.local.pod import LocalPod


class Deployment:
    """All pods that there are.

    Attributes:
        wanted: how many there are to be, besides those that are ending.
        pods: oldest first, those that are ending too.
    """

    def __init__(
        self,
        wanted: int,
        *,
        make: Callable[[], Awaitable[LocalPod]],
        unmake: Callable[[LocalPod], Awaitable[None]],
        settled: Callable[[], Awaitable[None]],
        unlisted: Callable[[], Awaitable[None]],
        pre_stop_s: float,
        grace_s: float,
    ) -> None:
        """Keep no pod yet.

        Args:
            wanted: as the attribute.
            make: starts a pod and puts it into `pods`.
            unmake: frees what belonged to a pod that is gone.
            settled: waits until the ingress lists all that are ready.
            unlisted: waits until the ingress sends nobody to those that leave.
            pre_stop_s: between leaving the endpoints and SIGTERM.
            grace_s: between SIGTERM and SIGKILL.
        """
        self.wanted = wanted
        self.pods: list[LocalPod] = []
        self._make = make
        self._unmake = unmake
        self._settled = settled
        self._unlisted = unlisted
        self._pre_stop_s = pre_stop_s
        self._grace_s = grace_s
        self._changing = asyncio.Lock()  # scale and roll-out come one after the other

    @property
    def staying(self) -> list[LocalPod]:
        """The pods that were not asked to go, oldest first."""
        return [pod for pod in self.pods if not pod.ending.is_set()]

    def pod(self, name: str) -> LocalPod:
        """The pod of this name. Raises LimpetError when there is none."""
        for pod in self.pods:
            if pod.spec.name == name:
                return pod
        names = ", ".join(pod.spec.name for pod in self.pods) or "none"
        raise LimpetError(f"there is no pod {name!r}; there are: {names}")

    async def fill(self) -> None:
        """Start what is missing."""
        await all_of(*(self._make() for _ in range(self.wanted - len(self.staying))))

    async def delete(self, pod: LocalPod, grace_s: float | None = None) -> None:
        """End a pod, and start its replacement at once if one is missing then."""
        first = pod.leave()
        await all_of(self._end(pod, first=first, grace_s=grace_s), self.fill())

    async def scale(self, wanted: int) -> None:
        """Have this many, the youngest leaving first."""
        async with self._changing:
            self.wanted = wanted
            surplus = [(pod, pod.leave()) for pod in reversed(self.staying[wanted:])]
            await all_of(self.fill(), *(self._end(pod, first=first) for pod, first in surplus))

    async def roll_out(self) -> None:
        """Replace all: start one, wait until it is ready and listed, ask the oldest old one to go; until all are gone.

        Raises:
            PartFailedError: a new pod does not get ready; the old ones that are left stay.
        """
        async with self._changing:
            leaving: list[asyncio.Task[None]] = []
            try:
                for old in self.staying:
                    new = await self._make()
                    await new.until_ready()
                    await self._settled()
                    leaving.append(asyncio.create_task(self._end(old, first=old.leave())))
            finally:
                await all_of(*leaving)
            await self.fill()  # what was deleted meanwhile

    async def _end(self, pod: LocalPod, *, first: bool, grace_s: float | None = None) -> None:
        grace_s = self._grace_s if grace_s is None else grace_s
        if first and grace_s > 0:
            await self._unlisted()  # pre_stop_s counts from then: how long a busy ingress takes to read is not judged
        await pod.end(first=first, pre_stop_s=self._pre_stop_s, grace_s=grace_s)
        if pod in self.pods:
            self.pods.remove(pod)
            await self._unmake(pod)


async def all_of(*jobs: Awaitable[Any]) -> None:
    """Do all of them, to the end even when one fails. Raises what the first of them raised."""
    for outcome in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
