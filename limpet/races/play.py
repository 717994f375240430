"""Carries out schedules on a running stack, one after the other, and records each.

For each a session is made through the first replica. Then all calls begin, while whatever replicas want to do in Redis
to that session stands at a gate and is let through as the schedule says. In the end every replica is asked what it
shows.
"""

import asyncio
import glob
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from redis.asyncio import Redis

from limpet.checkers.interleavings import GONE
from limpet.clients.monitor import Monitor
from limpet.clients.sessions import User
from limpet.clock import eventually
from limpet.contract import Contract
from limpet.errors import DeadlineError, LimpetError
from limpet.history import History, Line
from limpet.links.switches import Gate, Switch
from limpet.races.record import Excerpt, turn_lines
from limpet.races.schedule import EXPIRY, LANES, Schedule
from limpet.races.turns import Turns
from limpet.targets.base import Link, Listen, Pod
from limpet.workloads.ledger import distinct
from limpet.workloads.stack import Stack

FREE_WITHIN_S = 2.0  # for a lock that is still held when a call was answered
LOOK_EVERY_S = 0.002
SEEN_WITHIN_S = 10.0
WAIT_S = 5.0  # for a lock, where the contract does not say
MORE_S = 3.0
NEEDS = ("redis", "link", "listen", "admit")


@dataclass(frozen=True, slots=True)
class Played:
    """A schedule that was carried out: with the steps that were really taken, and its part of the history."""

    schedule: Schedule
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    """A session for a schedule, the key it was made with, and the lines that tell of it; `doubt`: why it is no use."""

    session: str
    key: str
    lines: list[Line]
    doubt: str


def unsupported(stack: Stack) -> str:
    """Why schedules cannot be carried out here, "" when they can."""
    if stack.contract.redis.lock is None:
        return "redis.lock is not in the contract"
    can = stack.target.capabilities()
    return next((f"{name}: {can.get(name, 'this target cannot')}" for name in NEEDS if can.get(name, "no") != ""), "")


def calls_of(contract: Contract) -> tuple[str, ...]:
    """What can be called on one session: the simplest first."""
    http = contract.http
    offered = {"update": http.update and http.update_field, "delete": True, "read": True}
    offered["create"] = http.idempotency_header
    return tuple(name for name, is_offered in offered.items() if is_offered)


class Player:
    """Plays on one stack. Use as a context manager; leaving it opens all gates.

    Attributes:
        lanes: the replicas that can be called, by their letters.
    """

    def __init__(self, stack: Stack) -> None:
        self.lanes: tuple[str, ...] = ()
        self._stack = stack
        self._target = stack.target
        self._contract = stack.contract
        self._excerpt = Excerpt(stack.history)
        self._beside = Excerpt(stack.history)
        self._open = AsyncExitStack()
        self._users: dict[str, User] = {}
        self._pods: list[Pod] = []
        self._like: Any = None  # a value of what updates write
        self._making: asyncio.Task[_Made] | None = None
        self._cleaning: set[asyncio.Task[bool]] = set()
        self._maker: User
        self._cleaner: User
        self._redis: Redis
        self._monitor: Monitor

    async def __aenter__(self) -> Self:
        why = unsupported(self._stack)
        if why:
            raise LimpetError(f"races cannot be played here: {why}")
        self._pods = (await self._stack.ready())[: len(LANES)]
        self.lanes = tuple(LANES[: len(self._pods)])
        self._redis = await self._open.enter_async_context(self._target.redis())
        for lane, pod in zip(self.lanes, self._pods, strict=True):
            self._users[lane] = await self._user(pod, self._excerpt)
        self._maker = await self._user(self._pods[0], self._beside)
        self._cleaner = await self._user(self._pods[0], self._stack.history)
        self._monitor = await Monitor.watch(self._redis)
        self._open.callback(self._monitor.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._making:
            self._clean_up((await self._making).session)
        if self._cleaning:
            await asyncio.wait(self._cleaning)
        await self._open.aclose()

    async def play(self, schedule: Schedule) -> Played:
        """Carry out one. Raises LimpetError where that cannot be done at all."""
        missing = [lane for lane in schedule.lanes if lane not in self.lanes]
        if missing:
            raise LimpetError(
                f"the schedule calls replica {missing[0]} and there are {len(self.lanes)}; give --replicas "
                f"{LANES.index(missing[-1]) + 1}"
            )
        making, self._making = self._making or asyncio.create_task(self._make()), None
        made = await making
        self._excerpt.take()
        pods = {lane: pod.name for lane, pod in zip(self.lanes, self._pods, strict=True) if lane in schedule.lanes}
        self._excerpt.note("schedule", "begin", text=str(schedule), key=made.key, calls=schedule.calls, pods=pods)
        self._excerpt.lines += made.lines
        if made.doubt:
            return self._end(schedule, made, GONE, made.doubt)
        turns, finished = await self._race(schedule, pods, made)
        self._making = asyncio.create_task(self._make())  # the next one, meanwhile
        shown = await asyncio.gather(*(self._look(user, made.session) for user in self._users.values()))
        await self._catch_up()
        lines, doubt = turn_lines(turns, self._monitor.lines, [*self._keys(made.session), made.key])
        self._excerpt.lines += lines
        left_ms = await self._left_ms(made.session)
        if any(shown):
            self._clean_up(made.session)
        done = Schedule(schedule.calls, tuple(move.lane or EXPIRY for move in turns.moves if move.step))
        doubt = doubt or self._monitor.lost or ("" if finished else "its calls did not come to their end in time")
        return self._end(done, made, left_ms, doubt)

    def _end(self, schedule: Schedule, made: _Made, left_ms: int, doubt: str) -> Played:
        data = {"text": str(schedule), "session": made.session, "left_ms": left_ms, "doubt": doubt}
        self._excerpt.note("schedule", "end", **data)
        lines = tuple(self._excerpt.take())
        for line in lines:
            self._stack.history.write(line)
        return Played(schedule, lines)

    async def _make(self) -> _Made:
        """A session that the first replica owns and nobody works on."""
        self._beside.take()
        key, doubt = f"race-{secrets.token_hex(8)}", ""
        session = await self._maker.create(key=key)
        if session is None:
            return _Made("", key, self._beside.take(), "its session could not be made")
        if self._like is None and self._contract.http.update_field:
            record = await self._maker.read(session)
            self._like = record.get(self._contract.http.update_field) if record else None
        if await self._left_ms(session) != GONE:
            doubt = "its lock was still held when its create had been answered"
        return _Made(session, key, self._beside.take(), doubt)

    async def _race(self, schedule: Schedule, pods: Mapping[str, str], made: _Made) -> tuple[Turns, bool]:
        """All calls, turn by turn; and whether they came to their end in time."""
        turns = Turns(self._target, self._redis, pods, self._lock(made.session))
        timing = self._contract.timing
        wait_s = WAIT_S if timing.lock_wait_s is None else timing.lock_wait_s
        del self._monitor.lines[:]
        await self._target.act(Listen(turns.hear))
        calls: list[asyncio.Task[None]] = []
        try:
            await self._set(Gate(self._names(made.session, made.key)))
            for lane in pods:
                turns.enter(lane, next(number for number, (whose, _) in enumerate(schedule.calls) if whose == lane))
                calls.append(asyncio.create_task(self._calls(turns, schedule, lane, made)))
            await turns.all_stand()
            for step in schedule.steps:
                number = sum(move.step > 0 for move in turns.moves) + 1
                await (turns.expire(number) if step == EXPIRY else turns.take(step, number))
            finished = await turns.finish(wait_s + MORE_S)
        finally:
            await asyncio.shield(self._set("pass"))
            await self._target.act(Listen(None))
            await asyncio.gather(*calls)
        return turns, finished

    async def _calls(self, turns: Turns, schedule: Schedule, lane: str, made: _Made) -> None:
        """The calls of one replica, one after the other."""
        user = self._users[lane]
        for number, (whose, op) in enumerate(schedule.calls):
            if whose == lane:
                turns.enter(lane, number)
                process = user.recorder.process
                self._excerpt.note("schedule", "call", call=number, lane=lane, process=process)
                await self._call(user, op, made, number)
        turns.enter(lane, None)

    async def _call(self, user: User, op: str, made: _Made, number: int) -> None:
        match op:
            case "update":
                await user.update(made.session, distinct(self._like, f"race {number}"))
            case "delete":
                await user.delete(made.session)
            case "create":
                await user.create(key=made.key)
            case _:
                await self._look(user, made.session)

    async def _look(self, user: User, session: str) -> bool:
        """Whether this user is shown the session."""
        if self._contract.http.read:
            return await user.read(session) is not None
        return session in (await user.list() or ())

    async def _set(self, switch: Switch) -> None:
        await asyncio.gather(*(self._target.act(Link(pod.name, "redis", switch)) for pod in self._pods))

    def _names(self, session: str, key: str) -> tuple[str, ...]:
        """The session's lock, record and fence; and whatever is named after the key that it was made with."""
        keys = tuple(glob.escape(name) for name in self._keys(session))
        return (*keys, f"*{key}*") if self._contract.http.idempotency_header else keys

    def _keys(self, session: str) -> list[str]:
        redis = self._contract.redis
        return [name.format(id=session) for name in (redis.lock, redis.session, redis.fence) if name]

    def _lock(self, session: str) -> str:
        assert self._contract.redis.lock is not None  # unsupported() has seen to it
        return self._contract.redis.lock.format(id=session)

    async def _left_ms(self, session: str) -> int:
        """The lock's time to live, once it is gone or should be."""
        lock, left_ms = self._lock(session), GONE

        async def gone() -> bool:
            nonlocal left_ms
            left_ms = int(await self._redis.pttl(lock))
            return left_ms == GONE

        try:
            await eventually(gone, within_s=FREE_WITHIN_S, what=f"{lock} released", every_s=LOOK_EVERY_S)
        except DeadlineError:
            return left_ms
        return GONE

    async def _catch_up(self) -> None:
        """Wait until MONITOR has shown everything that was done before this."""
        mark, begun = secrets.token_hex(8), len(self._monitor.lines)
        await self._redis.echo(mark)

        async def shown() -> bool:
            return bool(self._monitor.lost) or any(mark.encode() in line for line in self._monitor.lines[begun:])

        await eventually(shown, within_s=SEEN_WITHIN_S, what="the end of what MONITOR shows", every_s=LOOK_EVERY_S / 4)

    def _clean_up(self, session: str) -> None:
        """Delete the session while others are worked on."""
        if session:
            cleaning = asyncio.create_task(self._cleaner.delete(session))
            self._cleaning.add(cleaning)
            cleaning.add_done_callback(self._cleaning.discard)

    async def _user(self, pod: Pod, history: History) -> User:
        return await self._open.enter_async_context(User(self._contract, history, f"http://{pod.address}"))
