"""Many changes of the same sessions at once through all replicas; then a holder that outlives its lock.

The second is produced on purpose: faults/hold_then_pause.py. When it has to act is learnt from the same change of
another session, made without a disturbance.
"""

import asyncio
import glob
from typing import Any

from limpet.checkers.exclusion import Story, replay
from limpet.checkers.lock_leaks import ACQUISITIONS, LEFT_SLACK_S
from limpet.checkers.locking import CHANGES, CONTENDED
from limpet.clients.redis_trace import RedisTrace
from limpet.clients.sessions import User
from limpet.clock import Deadline, eventually
from limpet.errors import DeadlineError
from limpet.faults.hold_then_pause import Entry, HoldThenPause
from limpet.targets.base import Pod
from limpet.workloads.ledger import distinct
from limpet.workloads.rehearsal import Steps, commands, steps
from limpet.workloads.stack import Stack, at_most

AT_ONCE = 3
ROUNDS_MAX = 40
CONTEND_S_MAX = 60.0  # ten times what it takes; a backend that leaves its locks behind would take for ever
MORE_THAN_ENOUGH = 1.1  # counted without the links, which know better
CLIENTS = 4  # of each replica, on one session
UPDATES = 3  # of each client
TRIES = 2  # to hold a replica up at the right moment
CREATES = 5
PATIENCE_S = 20.0  # beyond the TTL, of the client of the holder: a backend may drop the call of one that has left


async def contend_and_outlive(stack: Stack) -> None:
    """Trace Redis while clients quarrel and a holder outlives its lock, until no lock is left."""
    redis = stack.contract.redis
    patterns = [glob.escape(key).replace("{id}", "*") for key in (redis.lock, redis.session, redis.fence) if key]
    async with RedisTrace(stack.target, stack.history, names=patterns) as trace:
        await stack.looker.locks()
        homes = list((await stack.user_of_each()).values())
        await _contend(stack, trace, homes)
        await _outlive(stack, trace)
        await _until_no_lock_is_left(stack)


async def _contend(stack: Stack, trace: RedisTrace, homes: list[User]) -> None:
    """Quarrel over sessions until there was enough of it."""
    acquired = contended = changed = rounds = 0
    deadline = Deadline(CONTEND_S_MAX)
    while homes and rounds < ROUNDS_MAX and not deadline.passed():
        if min(acquired / ACQUISITIONS, contended / CONTENDED, changed / CHANGES) >= MORE_THAN_ENOUGH:
            break
        begun = len(trace.monitor.lines)
        await at_most(AT_ONCE, [_quarrel(stack, homes, rounds * AT_ONCE + number) for number in range(AT_ONCE)])
        await trace.catch_up()
        story = await asyncio.to_thread(_story, stack, trace.monitor.lines[begun:])
        acquired += len(story.holds)
        contended += sum(hold.contended for hold in story.holds)
        changed += sum(not change.first for change in story.changes)
        rounds += 1


def _story(stack: Stack, lines: list[bytes]) -> Story:
    return replay(commands(lines), stack.contract.redis, fresh=True)


async def _quarrel(stack: Stack, homes: list[User], number: int) -> None:
    """All update one session at the same time, then all delete it."""
    session = await homes[number % len(homes)].create(key=f"lock-{number}-{stack.random.getrandbits(64):x}")
    if session is None:
        return
    if stack.contract.http.update:
        jobs = [_updates(user, session, place) for place, user in enumerate(homes * CLIENTS)]
        await at_most(len(jobs), jobs)
    jobs = [_delete(user, session) for user in homes * CLIENTS]
    await at_most(len(jobs), jobs)


async def _updates(user: User, session: str, place: int) -> None:
    for step in range(UPDATES):
        await user.update(session, await _value(user, session, f"{place}.{step}"))


async def _delete(user: User, session: str) -> None:
    await user.delete(session)


async def _value(user: User, session: str, token: str) -> Any:
    field = user.contract.http.update_field
    record = await user.read(session)
    return distinct(record and field and record.get(field), token)


async def _outlive(stack: Stack, trace: RedisTrace) -> None:
    """One replica stands still in its section until its lock has expired and another has it; then both go on."""
    pods = await stack.ready()
    ttl_s = stack.contract.timing.lock_ttl_s
    if len(pods) < 2 or ttl_s is None:  # noqa: PLR2004  one to hold, one to overtake
        return
    for _ in range(TRIES):
        try:
            fault = await _overtaking(stack, trace, pods[0], pods[1], ttl_s)
        except DeadlineError as error:
            stack.history.note("gave up", "overtaking", why=str(error))
            continue
        await stack.strike(fault)
        if fault.overtaken:
            break


async def _overtaking(stack: Stack, trace: RedisTrace, first: Pod, second: Pod, ttl_s: float) -> HoldThenPause:
    """The fault, on a new session. Raises DeadlineError when there is none, or when no lock is taken to change it."""
    one = await stack.direct(first, timeout_s=ttl_s + PATIENCE_S)
    other = await stack.direct(second)
    learnt = await _rehearse(stack, trace, one, other)
    session = await _session(other)
    return HoldThenPause(
        _keys(stack, session),
        acquire=learnt.acquire,
        commit=learnt.commit,
        ttl_s=ttl_s,
        source=learnt.source,
        holder=Entry(first.name, lambda: _change(one, session, "late")),
        rival=Entry(second.name, lambda: _change(other, session, "next")),
        trace=trace,
        history=stack.history,
    )


async def _rehearse(stack: Stack, trace: RedisTrace, one: User, other: User) -> Steps:
    """The same change of another session, undisturbed."""
    session = await _session(other)
    lock, *others = _keys(stack, session)
    begun = len(trace.monitor.lines)
    await _change(one, session, "rehearsal")
    await trace.catch_up()
    learnt = steps(trace.monitor.lines[begun:], lock, others)
    await other.delete(session)
    if learnt is None:
        raise DeadlineError(f"{lock} was not taken when the session was changed")
    return learnt


async def _session(user: User) -> str:
    for _ in range(CREATES):
        session = await user.create()
        if session:
            return session
    raise DeadlineError(f"{CREATES} creates were not acknowledged")


async def _change(user: User, session: str, token: str) -> None:
    if user.contract.http.update:
        await user.update(session, distinct(None, token))
    else:
        await user.delete(session)


def _keys(stack: Stack, session: str) -> tuple[str, ...]:
    """The session's lock, and the other keys by which its sections are known."""
    redis = stack.contract.redis
    return tuple(key.format(id=session) for key in (redis.lock, redis.session, redis.fence) if key)


async def _until_no_lock_is_left(stack: Stack) -> None:
    """Wait as long as a lock may live; what is left then is left over."""

    async def none_left() -> bool:
        return not await stack.looker.locks()

    try:
        ttl_s = stack.contract.timing.lock_ttl_s or 0.0
        await eventually(none_left, within_s=ttl_s + LEFT_SLACK_S, what="no lock left")
    except DeadlineError as error:
        stack.history.note("gave up", "no lock left", why=str(error))
