"""The lock of a session, taken by several processes' worth of connections on a true Valkey."""

import asyncio
import time
from collections.abc import Callable

import pytest
from backend.service import TIMING
from redis.asyncio import Redis

from limpet.clock import eventually
from reference_backend import keys, scripts
from reference_backend.errors import ApiError
from reference_backend.locks import POLL_S, Locks

SESSION = "5f0f1f5e-0000-4000-8000-000000000001"
LOCK, FENCE = keys.lock(SESSION), keys.fence(SESSION)

NewLocks = Callable[[], Locks]


async def test_holds_of_many_tasks_in_three_processes_never_overlap(redis: Redis, new_locks: NewLocks) -> None:
    inside, fences = 0, []

    async def hold(locks: Locks) -> None:
        nonlocal inside
        async with locks.session(SESSION) as hold:
            inside += 1
            assert inside == 1
            assert await redis.get(LOCK) == hold.token.encode()
            fences.append(int(hold.fence))
            inside -= 1

    processes = [new_locks() for _ in range(3)]
    await asyncio.gather(*(hold(processes[n % 3]) for n in range(60)))
    assert fences == sorted(set(fences))
    assert not await redis.exists(LOCK)


async def subscribed(redis: Redis) -> None:
    async def one_waits() -> bool:
        return await redis.pubsub_numsub(LOCK) == [(LOCK.encode(), 1)]

    await eventually(one_waits, within_s=5, what="a waiter subscribes")


async def test_a_waiter_in_another_process_is_woken_by_the_release(
    redis: Redis, new_locks: NewLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_backend.locks.POLL_S", (60.0, 60.0))  # looking by itself it would come too late
    one, other = new_locks(), new_locks()

    async def wait() -> bool:
        async with other.session(SESSION):
            return True

    async with one.session(SESSION):
        waiting = asyncio.create_task(wait())
        await subscribed(redis)
    assert await waiting


async def test_a_lock_not_had_in_time_is_503_and_was_not_asked_for_every_few_milliseconds(
    redis: Redis, new_locks: NewLocks
) -> None:
    await redis.set(LOCK, "somebody else")
    before = (await redis.info("commandstats"))["cmdstat_set"]["calls"]
    locks = new_locks()
    began = time.monotonic()
    with pytest.raises(ApiError) as refused:
        async with locks.session(SESSION):
            pytest.fail("the lock is another's")
    assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
    assert time.monotonic() - began >= TIMING["lock_wait_s"] - 0.1
    asked = (await redis.info("commandstats"))["cmdstat_set"]["calls"] - before
    assert asked <= TIMING["lock_wait_s"] / POLL_S[0] + 2
    assert await redis.get(LOCK) == b"somebody else"


async def test_a_lock_whose_holder_died_is_had_when_its_ttl_is_over(redis: Redis, new_locks: NewLocks) -> None:
    await redis.set(LOCK, "somebody who died", px=300)
    async with new_locks().session(SESSION) as hold:
        assert await redis.get(LOCK) == hold.token.encode()


async def test_a_holder_whose_lock_expired_does_not_release_the_next_ones(redis: Redis, new_locks: NewLocks) -> None:
    async with new_locks().session(SESSION):
        await redis.set(LOCK, "the next holder")
    assert await redis.get(LOCK) == b"the next holder"


async def test_an_exception_inside_releases_the_lock(redis: Redis, new_locks: NewLocks) -> None:
    locks = new_locks()
    with pytest.raises(ZeroDivisionError):
        async with locks.session(SESSION):
            raise ZeroDivisionError
    assert not await redis.exists(LOCK)


async def test_a_cancelled_waiter_leaves_no_lock(redis: Redis, new_locks: NewLocks) -> None:
    locks = new_locks()

    async def hold() -> None:
        async with locks.session(SESSION):
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(hold()) for _ in range(5)]

    async def held() -> bool:
        return bool(await redis.exists(LOCK))

    await eventually(held, within_s=5, what="one of them holds the lock")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert not await redis.exists(LOCK)
    async with locks.session(SESSION):
        pass


async def test_an_acquisition_whose_answer_was_lost_gets_the_same_fence_again(redis: Redis) -> None:
    first = await scripts.ACQUIRE.run(redis, [LOCK, FENCE], ["token", 1000, 1000])
    again = await scripts.ACQUIRE.run(redis, [LOCK, FENCE], ["token", 1000, 1000])
    assert first == again
    assert first[0] == 1


@pytest.mark.parametrize(
    ("last", "following"),
    [
        ("9007199254740993000", "9007199254740993001"),
        ("99999999999999999999", "100000000000000000000"),
        ("8999999999999999999999999999", "9000000000000000000000000000"),
    ],
)
async def test_a_fence_ahead_of_the_clock_grows_by_one_without_losing_digits(
    redis: Redis, last: str, following: str
) -> None:
    await redis.set(FENCE, last)
    _, fence = await scripts.ACQUIRE.run(redis, [LOCK, FENCE], ["token", 1000, 1000])
    assert fence.decode() == following


@pytest.mark.parametrize("last", ["1", "999999999", None])
async def test_a_fence_behind_the_clock_becomes_the_clock(redis: Redis, last: str | None) -> None:
    if last:
        await redis.set(FENCE, last)
    before = int(time.time() * 1_000_000)
    _, fence = await scripts.ACQUIRE.run(redis, [LOCK, FENCE], ["token", 1000, 1000])
    assert abs(int(fence) - before) < 60_000_000


async def test_every_lock_and_every_fence_expires(redis: Redis, new_locks: NewLocks) -> None:
    async with new_locks().session(SESSION):
        assert 0 < await redis.pttl(LOCK) <= 3000
        assert await redis.pttl(FENCE) > 3000
