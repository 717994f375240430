"""Turns: who stands at the gate, whose command goes next, and who only waits.

One turn: wait until a command of this replica stands at the gate or its calls are done, let one through, wait for its
reply. So the order in which Redis carries commands out is the order of the turns, and nobody has to guess when a
replica has come to rest. Of several commands of one replica the one that arrived first goes first: that is the order
in which the replica itself sent them, and so the same when a schedule is repeated.

Some replicas do not come to the gate, and the others must go on meanwhile:
- One that was refused the lock tries again and again. The same command is not let through again before the lock has
  changed: it would be refused again.
- One that asks another for help (the owner of a session, to stop its gadget) waits for what that one does in Redis. A
  command that comes from a replica of which none was expected belongs to the replica that had the last turn.
- One that rests longer than QUIET_S is taken to wait; it is not waited for again before something has changed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from limpet.checkers.redis_commands import READS
from limpet.clock import Deadline, sleep
from limpet.errors import DeadlineError
from limpet.links.gate import Answered, Arrived, Event, Left
from limpet.links.log import Exchange
from limpet.targets.base import Admit, Target

FIRST_S = 1.0  # what it may take until a call comes to its first command; there is nothing to wait for before
QUIET_S = 0.15  # what a replica computes between two commands takes a tenth of it
REFUSED_S = 0.01  # the same, of one that has just been refused the lock
ANSWER_S = 2.0
POLL_S = 0.25  # in which those who wait for the lock look again
LOOK_S = 0.0005


@dataclass(frozen=True, slots=True)
class Move:
    """One turn that was taken.

    Attributes:
        step: which of the drawn steps it was, from 1; 0 behind them.
        lane: whose turn; "" for the expiry of the lock.
        call: which of the schedule's calls the replica was at; -1 for the expiry.
        ticket: of the command, with its pod.
        left_ms: how long the lock had left, where it expired.
    """

    step: int
    lane: str
    call: int = -1
    pod: str = ""
    ticket: int = 0
    left_ms: int = 0


@dataclass(slots=True)
class _Standing:
    """A command at the gate, and whose turn it waits for."""

    arrived: Arrived
    lane: str


@dataclass(slots=True)
class _Lane:
    """One replica that is called.

    Attributes:
        call: which of the schedule's calls it is at; None when all are done.
        begins: no command of its call has come yet.
        expected: its next command is on its way.
        rests: it was waited for in vain, and nothing has changed since.
        refused: what it was answered without effect while the lock was another's.
    """

    pod: str
    call: int | None = None
    begins: bool = True
    expected: bool = True
    rests: bool = False
    refused: set[tuple[bytes, ...]] = field(default_factory=set)


class Turns:
    """The turns of one schedule. `hear` is told what happens at the gate, `enter` where the calls are.

    Attributes:
        moves: the turns taken so far.
        lock: its key.
        exchanges: (pod, ticket) -> what was let through under it, a transaction's queued commands before its EXEC.
    """

    def __init__(self, target: Target, redis: Redis, pods: Mapping[str, str], lock: str) -> None:
        """`pods`: the name of the pod of each lane. `lock`: the key."""
        self.moves: list[Move] = []
        self.exchanges: dict[tuple[str, int], list[Exchange]] = {}
        self._target = target
        self._redis = redis
        self.lock = lock
        self._lanes = {lane: _Lane(pod) for lane, pod in pods.items()}
        self._lane_of = {pod: lane for lane, pod in pods.items()}
        self._standing: list[_Standing] = []
        self._waiting: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self._last = ""  # whose turn was the last
        self._value: str | None = None  # of the lock
        self._holder = ""  # the pod whose turn made it so

    def hear(self, event: Event) -> None:
        """Something happened at the gate."""
        match event:
            case Arrived():
                self._standing.append(_Standing(event, self._turn_of(event.pod)))
            case Answered(pod, ticket, exchange, last):
                self.exchanges.setdefault((pod, ticket), []).append(exchange)
                if last and (pod, ticket) in self._waiting:
                    self._expect(pod)  # at once: its next command may come before whoever waits for this goes on
                    self._waiting.pop((pod, ticket)).set_result(None)
            case Left(pod, ticket):
                self._standing = [
                    one for one in self._standing if (one.arrived.pod, one.arrived.ticket) != (pod, ticket)
                ]
        self._changed.set()

    def enter(self, lane: str, call: int | None) -> None:
        """A lane begins its next call; None: it has made all."""
        state = self._lanes[lane]
        state.call, state.begins, state.expected, state.rests = call, True, call is not None, False
        state.refused.clear()
        self._changed.set()

    async def all_stand(self) -> None:
        """Wait until every lane stands at the gate: only then it is certain whose a command is that comes besides."""
        deadline = Deadline(FIRST_S)
        while any(lane.begins and lane.call is not None for lane in self._lanes.values()) and not deadline.passed():
            await self._until_change(deadline.left_s())

    async def take(self, lane: str, step: int = 0) -> bool:
        """One turn of this lane; whether it took it."""
        one = await self._until_stands(lane)
        if one:
            await self._let_through(one, lane, step)
        return one is not None

    async def expire(self, step: int) -> bool:
        """Let the lock expire; whether there was one that can."""
        left_ms = int(await self._redis.pttl(self.lock))
        if left_ms <= 0:
            return False
        await self._redis.pexpire(self.lock, 1)  # it ends as it would have by itself, and who listens is told
        deadline = Deadline(ANSWER_S)
        while await self._redis.exists(self.lock):
            if deadline.passed():
                raise DeadlineError(f"{self.lock} did not expire within {ANSWER_S:g} s of its end")
            await sleep(LOOK_S)
        self.moves.append(Move(step, "", left_ms=left_ms))
        self._lock_is(None, "")
        return True

    async def finish(self, within_s: float) -> bool:
        """Turns until all calls are done, each lane to its end before the next; whether they came to it in time."""
        deadline = Deadline(within_s)
        while self._busy():
            moved = False
            for lane in self._lanes:
                while self._lanes[lane].call is not None and await self.take(lane):
                    moved = True
            if not moved and self._busy():
                await self._wait_or_try()
            if deadline.passed():
                return False
        return True

    def _busy(self) -> bool:
        return any(lane.call is not None for lane in self._lanes.values())

    def _turn_of(self, pod: str) -> str:
        """The lane in whose turn a command goes that has come from this pod."""
        own = self._lane_of.get(pod, "")
        lane = self._lanes.get(own)
        if lane and lane.expected:
            lane.begins = lane.expected = lane.rests = False
            return own
        if self._last:
            self._lanes[self._last].rests = False
        return self._last or own

    async def _until_stands(self, lane: str) -> _Standing | None:
        state = self._lanes[lane]
        deadline = Deadline(FIRST_S if state.begins else REFUSED_S if state.refused else QUIET_S)
        while True:
            await self._let_strangers_through()
            one = self._first(lane)
            if one:
                return one
            if state.call is None or state.rests or deadline.passed():
                state.rests = state.call is not None
                return None
            await self._until_change(deadline.left_s())

    def _first(self, lane: str) -> _Standing | None:
        for one in self._standing:
            if one.lane == lane and not self._in_vain(one):
                return one
        return None

    def _in_vain(self, one: _Standing) -> bool:
        """Whether it was answered without effect before, and nothing has changed since."""
        lane = self._lanes.get(self._lane_of.get(one.arrived.pod, ""))
        return lane is not None and tuple(one.arrived.words) in lane.refused

    async def _let_strangers_through(self) -> None:
        """Commands that come before any turn, from replicas that are not called."""
        for one in [one for one in self._standing if not one.lane]:
            await self._let_through(one, "", 0)

    async def _let_through(self, one: _Standing, lane: str, step: int) -> None:
        pod, ticket = one.arrived.pod, one.arrived.ticket
        self._standing.remove(one)
        answered = self._waiting[pod, ticket] = asyncio.get_running_loop().create_future()
        call = self._lanes[lane].call if lane else None
        self._last = lane
        self.moves.append(Move(step, lane, -1 if call is None else call, pod, ticket))
        await self._target.act(Admit(pod, ticket))
        with suppress(TimeoutError):  # then nobody knows its reply, as the record will say
            async with asyncio.timeout(ANSWER_S):
                await answered
        self._waiting.pop((pod, ticket), None)
        await self._look_at_lock(pod, one.arrived.words)

    def _expect(self, pod: str) -> None:
        """What this pod sends next is its own, if the turn was."""
        own = self._lane_of.get(pod, "")
        if own and own == self._last:
            self._lanes[own].expected = self._lanes[own].call is not None

    async def _look_at_lock(self, pod: str, words: Sequence[bytes]) -> None:
        """Who holds the lock after this command, and whether it was refused."""
        name = words[0].decode(errors="replace").upper()
        if self.lock.encode() not in words and name != "EXEC":
            return
        value: Any = await self._redis.get(self.lock)
        lane = self._lanes.get(self._lane_of.get(pod, ""))
        if value != self._value:
            self._lock_is(value, pod if value else "")
        elif value is not None and pod != self._holder and lane and not READS.fullmatch(name):
            lane.refused.add(tuple(words))

    def _lock_is(self, value: str | None, holder: str) -> None:
        self._value, self._holder = value, holder
        for lane in self._lanes.values():
            lane.refused.clear()
            lane.rests = False

    async def _wait_or_try(self) -> None:
        """Nobody can go on: wait for somebody to come by himself, or let one try in vain."""
        if not await self._until_change(POLL_S) and self._standing:
            one = self._standing[0]
            await self._let_through(one, one.lane, 0)

    async def _until_change(self, within_s: float) -> bool:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._changed.wait()
                return True
        return False
