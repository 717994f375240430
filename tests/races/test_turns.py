"""Turns let one command through at a time, know who waits for what, and come to an end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import pytest
import pytest_asyncio
from links.speaking import Speaking
from redis.asyncio import Redis

from limpet.links.switches import Gate
from limpet.races.turns import Turns
from limpet.targets.base import Action, Admit, Target

LOCK, RECORD = "lock:session:s", "session:s"
PODS = {"A": "backend-1", "B": "backend-2"}
Call = Callable[[Redis], Coroutine[Any, Any, Any]]


class Gates:
    """As much of a target as turns need."""

    def __init__(self, there: Speaking) -> None:
        self.there = there

    async def act(self, action: Action) -> None:
        assert isinstance(action, Admit)
        await self.there.links.admit(action.pod, action.ticket)


class Race:
    """Replicas that do what they are told to, before gates."""

    def __init__(self, there: Speaking, past: Redis) -> None:
        self.there = there
        self.past = past
        self.turns = Turns(cast("Target", Gates(there)), past, PODS, LOCK)
        self.answers: dict[str, Any] = {}
        self._calls: list[asyncio.Task[None]] = []
        there.links.told = self.turns.hear

    def begin(self, lane: str, call: Call) -> None:
        self.turns.enter(lane, len(self._calls))
        self._calls.append(asyncio.create_task(self._call(lane, call)))

    async def _call(self, lane: str, call: Call) -> None:
        async with self.there.redis(PODS[lane]) as pod:
            self.answers[lane] = await call(pod)
        self.turns.enter(lane, None)

    async def end(self) -> None:
        await asyncio.gather(*self._calls)

    @property
    def order(self) -> list[str]:
        """What the server carried out, each with whose turn it was."""
        turns = self.turns
        return [
            f"{move.lane} {one.words[0].decode()} {one.words[1].decode()}"
            for move in turns.moves
            for one in turns.exchanges.get((move.pod, move.ticket), [])
        ]


@pytest_asyncio.fixture
async def race(redis_links: Speaking) -> AsyncIterator[Race]:
    for pod in redis_links.ports:
        await redis_links.links.set(pod, "redis", Gate((LOCK, RECORD)))
    async with redis_links.redis() as past:
        running = Race(redis_links, past)
        yield running
        await running.end()


def gets(*keys: str) -> Call:
    async def call(pod: Redis) -> None:
        for key in keys:
            await pod.get(key)

    return call


def takes_the_lock(token: str) -> Call:
    """Tries until it has the lock, writes, and releases it."""

    async def call(pod: Redis) -> int:
        tries = 1
        while not await pod.set(LOCK, token, nx=True, px=60_000):
            tries += 1
        await pod.set(RECORD, token)
        await pod.delete(LOCK)
        return tries

    return call


async def test_the_order_of_the_turns_is_the_order_of_the_commands(race: Race) -> None:
    race.begin("A", gets(RECORD, LOCK))
    race.begin("B", gets(LOCK, RECORD))
    for lane in "BAAB":
        assert await race.turns.take(lane)
    assert race.order == [f"B GET {LOCK}", f"A GET {RECORD}", f"A GET {LOCK}", f"B GET {RECORD}"]


async def test_one_whose_calls_are_done_takes_no_turn(race: Race) -> None:
    race.begin("A", gets(RECORD))
    assert await race.turns.take("A")
    await race.end()
    assert not await race.turns.take("A")


async def test_in_the_end_each_goes_on_to_its_end_before_the_next(race: Race) -> None:
    race.begin("A", gets(RECORD, LOCK))
    race.begin("B", gets(LOCK))
    assert await race.turns.finish(20)
    assert race.order == [f"A GET {RECORD}", f"A GET {LOCK}", f"B GET {LOCK}"]


async def test_one_that_was_refused_does_not_try_again_before_the_lock_has_changed(race: Race) -> None:
    race.begin("A", takes_the_lock("token-of-a"))
    race.begin("B", takes_the_lock("token-of-b"))
    assert await race.turns.take("A")
    assert await race.turns.take("B")  # is refused
    assert not await race.turns.take("B")
    assert await race.turns.finish(20)
    assert race.answers == {"A": 1, "B": 2}
    assert race.order[-3:] == [f"B SET {LOCK}", f"B SET {RECORD}", f"B DEL {LOCK}"]


async def test_when_the_lock_expires_one_that_was_refused_goes_on(race: Race) -> None:
    race.begin("A", takes_the_lock("token-of-a"))
    race.begin("B", takes_the_lock("token-of-b"))
    assert await race.turns.take("A")
    assert await race.turns.take("B")
    assert await race.turns.expire(3)
    assert not await race.past.exists(LOCK)
    assert await race.turns.take("B")
    assert await race.past.get(LOCK) == b"token-of-b"
    assert 0 < next(move.left_ms for move in race.turns.moves if not move.pod) <= 60_000
    assert await race.turns.finish(20)


@pytest.mark.parametrize("forever", [True, False])
async def test_a_lock_that_is_not_there_or_never_expires_does_not_expire(race: Race, forever: bool) -> None:  # noqa: FBT001 - of a table
    if forever:
        await race.past.set(LOCK, "x")
    assert not await race.turns.expire(1)
    assert bool(await race.past.exists(LOCK)) == forever


async def test_what_another_does_for_one_is_part_of_its_turn(race: Race) -> None:
    """A asks B for help, as by HTTP, while B itself stands at the gate."""

    async def asks(pod: Redis) -> None:
        await pod.get(LOCK)
        async with race.there.redis(PODS["B"]) as helper:
            await helper.get(RECORD)

    race.begin("A", asks)
    race.begin("B", gets(LOCK))
    await race.turns.all_stand()
    assert await race.turns.take("A")
    assert await race.turns.take("A")
    assert race.order == [f"A GET {LOCK}", f"A GET {RECORD}"]
    assert await race.turns.finish(20)


async def test_what_a_replica_does_that_is_not_called_belongs_to_the_one_before(race: Race) -> None:
    async def asks(pod: Redis) -> None:
        await pod.get(LOCK)
        async with race.there.redis("backend-3") as helper:
            await helper.get(RECORD)

    race.begin("A", asks)
    assert await race.turns.finish(20)
    assert [move.pod for move in race.turns.moves] == ["backend-1", "backend-3"]
    assert race.order == [f"A GET {LOCK}", f"A GET {RECORD}"]


async def test_one_that_waits_for_another_is_passed_over(race: Race) -> None:
    done = asyncio.Event()

    async def waits(pod: Redis) -> None:
        await pod.get(LOCK)
        await done.wait()
        await pod.get(RECORD)

    async def lets_go(pod: Redis) -> None:
        await pod.get(RECORD)
        done.set()

    race.begin("A", waits)
    race.begin("B", lets_go)
    assert await race.turns.take("A")
    assert not await race.turns.take("A")
    assert await race.turns.take("B")
    assert await race.turns.finish(20)
    assert race.order == [f"A GET {LOCK}", f"B GET {RECORD}", f"A GET {RECORD}"]


async def test_calls_that_do_not_come_to_their_end_are_given_up(race: Race) -> None:
    done = asyncio.Event()

    async def waits(_: Redis) -> None:
        await done.wait()

    race.begin("A", waits)
    assert not await race.turns.finish(0.1)
    done.set()


async def test_one_that_waits_for_a_lock_that_nobody_releases_may_try_in_vain(race: Race) -> None:
    await race.past.set(LOCK, "somebody")

    async def tries_twice(pod: Redis) -> int:
        return sum([bool(await pod.set(LOCK, "mine", nx=True)) for _ in range(2)])

    race.begin("A", tries_twice)
    assert await race.turns.finish(20)
    assert (race.answers["A"], race.order) == (0, [f"A SET {LOCK}"] * 2)
