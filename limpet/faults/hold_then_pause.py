"""The holder of a session's lock stands still until its lock has expired and another replica has it; then it goes on.

Two replicas are asked to change one session. The link of the first keeps back what it asks inside its section, so that
it certainly stands there when its process is stopped; then the link passes, and the answer waits for the process. When
the lock has expired the second takes it and is kept inside its own section by its link. Then the first wakes up and
believes that it still holds the lock: what it does now is what a lock has to withstand.

It takes as long as a lock really lives; there is nothing to scale. Where a target cannot stop a process, the link of
the first keeps back its change for as long.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from limpet.checkers.locking import PAUSED
from limpet.clients.redis_trace import RedisTrace
from limpet.clock import eventually, sleep
from limpet.errors import DeadlineError
from limpet.history import History
from limpet.links import gate
from limpet.links.switches import Hold, Switch
from limpet.targets.base import Link, Listen, Pause, Resume, Target
from limpet.targets.ready import all_ready

SEEN_WITHIN_S = 5.0
EXPIRED_SLACK_S = 2.0
PAST_EXPIRY_S = 0.1  # so that nobody can doubt whether the lock had expired when it was taken again
LATE_S = 0.7  # for what the first replica still does when it goes on; shorter than backends wait for an answer


@dataclass(frozen=True, slots=True)
class Entry:
    """A replica and a call by which it enters the section.

    Attributes:
        pod: its name.
        call: makes the call and returns when that was answered; waits for longer than a lock lives.
    """

    pod: str
    call: Callable[[], Coroutine[Any, Any, None]]


class HoldThenPause:
    """Lets `rival` overtake `holder` in the section of one session.

    Attributes:
        overtaken: whether it was seen to: the lock was the holder's, expired, and was the rival's.
    """

    name = PAUSED

    def __init__(
        self,
        keys: Sequence[str],
        *,
        acquire: int,
        commit: int,
        ttl_s: float,
        source: str,
        holder: Entry,
        rival: Entry,
        trace: RedisTrace,
        history: History,
    ) -> None:
        """Nothing is done yet.

        Args:
            keys: what commands of the session's sections name: its lock, then others.
            acquire: which of the commands that name one of these takes the lock, from 1.
            commit: which of them makes the change.
            ttl_s: how long the lock lives.
            source: the address of the holder's connections, as the Redis server sees it.
            holder: who is stopped.
            rival: who takes the lock meanwhile.
            trace: shows whether the holder is heard of.
            history: where links and pauses are written.
        """
        self.overtaken = False
        self._keys = tuple(keys)
        self._acquire = acquire
        self._commit = commit
        self._ttl_s = ttl_s
        self._source = source.encode()
        self._holder = holder
        self._rival = rival
        self._trace = trace
        self._history = history
        self._stopped = False
        self._switches: dict[str, Switch] = {}
        self._calls: list[asyncio.Task[None]] = []

    async def inject(self, target: Target) -> None:
        """Let the holder take the lock, and stop it there."""
        no_pause = target.capabilities().get("pause", "this target cannot")
        look = self._commit - 1  # what it asks last before its change; its answer is to wait for the process
        looks = look > self._acquire and not no_pause
        await self._lock(target, held=False, within_s=SEEN_WITHIN_S)
        await self._stand_inside(target, look if looks else self._commit)
        if no_pause:
            self._history.note("fault", "only its link is held", fault=self.name, why=no_pause)
            return
        self._stopped = True
        self._history.note("pause", "begin", pod=self._holder.pod)
        await target.act(Pause(self._holder.pod))
        if looks:
            await self._set(target, self._holder.pod, "pass")

    async def await_effect(self, target: Target) -> None:
        """The lock expires, somebody else takes it, and nothing is heard of the holder meanwhile."""
        await self._lock(target, held=False, within_s=self._ttl_s + EXPIRED_SLACK_S)
        expired = len(self._trace.monitor.lines)
        await sleep(PAST_EXPIRY_S)
        await self._set(target, self._rival.pod, Hold(self._keys, self._acquire + 1))
        self._begin(self._rival)
        await self._lock(target, held=True, within_s=SEEN_WITHIN_S)
        await self._trace.catch_up()
        if self._heard_of_holder(since=expired):
            raise DeadlineError(f"{self._holder.pod} was kept from going on, and went on all the same")
        self.overtaken = True

    async def heal(self, target: Target) -> None:
        """Let the holder go on, while the rival stands inside its section; then the rival, and both to their ends."""
        calls, self._calls = self._calls, []
        woken = len(self._trace.monitor.lines)
        try:
            await self._set(target, self._holder.pod, "pass")
            if self._stopped:
                self._stopped = False
                await target.act(Resume(self._holder.pod))
                self._history.note("pause", "end", pod=self._holder.pod)
            if self.overtaken and calls:
                await self._until_it_went_on(woken)
        finally:
            await self._set(target, self._rival.pod, "pass")
            await asyncio.gather(*calls)

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed: one that was stopped may have left the endpoints."""
        await all_ready(target)

    async def _stand_inside(self, target: Target, nth: int) -> None:
        """Let the holder enter its section; returns when its link keeps back the `nth` command there.

        That the lock is taken would not do: a process that is stopped before it has read the answer does not know it.
        """
        kept = False

        def hear(event: gate.Event) -> None:
            nonlocal kept
            kept = kept or (isinstance(event, gate.Kept) and event.pod == self._holder.pod)

        async def inside() -> bool:
            return kept

        await target.act(Listen(hear))
        try:
            await self._set(target, self._holder.pod, Hold(self._keys, nth))
            self._begin(self._holder)
            await self._lock(target, held=True, within_s=SEEN_WITHIN_S)
            await eventually(inside, within_s=SEEN_WITHIN_S, what=f"{self._holder.pod} inside its section")
        finally:
            await target.act(Listen(None))

    async def _until_it_went_on(self, woken: int) -> None:
        async def went_on() -> bool:
            return self._heard_of_holder(since=woken)

        with suppress(DeadlineError):  # of one that gives up without a word nothing is shown, as the checker will say
            await eventually(went_on, within_s=SEEN_WITHIN_S, what=f"what {self._holder.pod} had to say")
            await sleep(LATE_S)

    def _heard_of_holder(self, *, since: int) -> bool:
        """Whether MONITOR has shown, since that line, a command of the holder on the session."""
        names = [key.encode() for key in self._keys]
        lines = self._trace.monitor.lines[since:]
        return any(b" " + self._source + b":" in line and any(name in line for name in names) for line in lines)

    def _begin(self, entry: Entry) -> None:
        self._calls.append(asyncio.create_task(entry.call()))

    async def _lock(self, target: Target, *, held: bool, within_s: float) -> None:
        """Wait until the lock is held, or is not."""
        lock = self._keys[0]
        redis = target.redis()

        async def as_wanted() -> bool:
            return bool(await redis.exists(lock)) == held

        try:
            await eventually(as_wanted, within_s=within_s, what=f"{lock} {'held' if held else 'free'}")
        finally:
            await redis.aclose()

    async def _set(self, target: Target, pod: str, switch: Switch) -> None:
        """Set a pod's link to Redis, and write that down; nothing if it is so already."""
        if self._switches.get(pod, "pass") == switch:
            return
        self._switches[pod] = switch
        self._history.note("link", switch if isinstance(switch, str) else type(switch).__name__, pod=pod)
        await target.act(Link(pod, "redis", switch))
