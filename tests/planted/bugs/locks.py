"""Bugs around the lock of a session: taking it, keeping it, giving it back."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from planted.base import plant
from planted.patching import edit, edit_script, replace
from reference_backend import scripts
from reference_backend.locks import Hold, Locks
from reference_backend.redis_access import UNREACHABLE
from reference_backend.scripts import Script

TOO_SHORT_MS = 20
LATE_EVERY = 20


@plant(caught_by="locking", unrelated="history")
def release_without_token() -> None:
    """The release deletes the lock whoever holds it: a late holder frees the lock of the next."""
    edit_script(scripts.RELEASE, "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end", "")


@plant(caught_by="locking", unrelated="replicas")
def lock_without_ttl() -> None:
    """The lock never expires: a holder that dies keeps the session for ever."""
    edit_script(scripts.ACQUIRE, "'NX', 'PX', ARGV[2])", "'NX')")


@plant(caught_by="locking", unrelated="session-record")
def acquire_by_get_then_set() -> None:
    """Whether the lock is free is asked in one round trip, and it is taken in the next: two may find it free."""
    edit_script(scripts.ACQUIRE, "'NX', 'PX', ARGV[2])", "'PX', ARGV[2])")
    acquire = Locks._try

    async def look_then_take(self: Locks, lock: str, fence: str, token: str) -> Hold | None:
        if await self._redis.exists(lock):
            return None
        return await acquire(self, lock, fence, token)

    replace(Locks, "_try", look_then_take)


@plant(caught_by="locking", unrelated="identity", also=("shared-view", "history", "scaling"))
def ttl_shorter_than_the_section() -> None:
    """The lock lives for 20 ms, and a critical section of several round trips takes longer.

    Commits are refused then, as they must be, and a client gets a 503 after several sections: suites that work hard on
    one session may not come to what is enough.
    """
    edit(Locks, "__init__", "int(settings.lock_ttl_s * 1000)", str(TOO_SHORT_MS))


@plant(caught_by="locking", unrelated="replicas")
def leaked_lock_after_an_exception() -> None:
    """The release is not in a `finally`: a section that ends with an error leaves its lock to the TTL."""
    edit(
        Locks,
        "hold",
        "finally:\n                await self._release_surely",
        "except BaseException:\n                raise\n            else:\n                await self._release_surely",
    )


@plant(caught_by="locking", unrelated="session-record")
def token_reuse() -> None:
    """A process has one token for all that it acquires: its late release frees its own next lock."""
    edit(Locks, "_acquire", "secrets.token_hex(16)", repr(secrets.token_hex(16)))


@plant(caught_by="locking", unrelated="stickiness")
def fence_resets_on_expiry() -> None:
    """The fence's counter lives no longer than the lock, and begins again at one."""
    edit_script(scripts.ACQUIRE, "local fence = time[1] .. string.format('%06d', time[2])", "local fence = '1'")
    edit_script(scripts.ACQUIRE, "redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])",
                "redis.call('SET', KEYS[2], fence, 'PX', ARGV[2])")  # fmt: skip


@plant(caught_by="locking", unrelated="history")
def renewal_of_a_foreign_lock() -> None:
    """While a section lasts its lock is renewed every now and then, without a look at whose it is by now."""
    hold_plainly = Locks.hold

    @asynccontextmanager
    async def hold(self: Locks, lock: str, fence: str) -> AsyncIterator[Hold]:
        async with hold_plainly(self, lock, fence) as held:
            renewing = asyncio.create_task(_renew(self, lock))
            try:
                yield held
            finally:
                renewing.cancel()
                await asyncio.wait([renewing])

    replace(Locks, "hold", hold)


async def _renew(self: Locks, lock: str) -> None:
    while True:
        await asyncio.sleep(self._ttl_ms / 3000)
        with contextlib.suppress(*UNREACHABLE):
            await self._redis.pexpire(lock, self._ttl_ms)


@plant(caught_by="locking", unrelated="replicas", also=("session-record", "shared-view", "history", "scaling"))
def retried_script_that_ran_twice() -> None:
    """The client takes every twentieth answer for lost and sends the script again, which finds its own lock taken.

    Every such call waits for a lock that nobody will release, and ends with a 503: suites may not come to what is
    enough.
    """
    edit_script(scripts.ACQUIRE, "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0,", "if true then return {0,")
    run = Script.run
    answers = 0

    async def impatient(self: Script, redis: Redis, names: Sequence[str], args: Sequence[Any]) -> Any:
        nonlocal answers
        answer = await run(self, redis, names, args)
        if self is scripts.ACQUIRE:
            answers += 1
            if answers % LATE_EVERY == 0:
                return await run(self, redis, names, args)
        return answer

    replace(Script, "run", impatient)
