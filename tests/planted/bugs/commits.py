"""Bugs around the commit: what a change of a session has to be compared with before it is written."""

from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from planted.base import plant
from planted.patching import edit, edit_script, replace
from reference_backend import keys, scripts
from reference_backend.appender import Appender, Feed
from reference_backend.lifecycle import Lifecycle
from reference_backend.sections import Sections

LATE_EVERY = 10

CHECKED = "if redis.call('GET', lock) ~= token or redis.call('GET', fence) ~= my_fence then return 'lost' end"


@plant(caught_by="locking", unrelated="replicas")
def commit_without_lock() -> None:
    """Changes of a session are compared and set, but nobody takes the lock for them."""
    edit_script(scripts.COMMIT, CHECKED, "")
    edit(
        Sections,
        "run",
        "async with self._locks.session(session_id) as hold:",
        "for hold in (Hold('', ''),):",
    )


@plant(caught_by="locking", unrelated="session-record")
def stale_fence_accepted() -> None:
    """The commit does not look at lock and fence: a holder that was overtaken still writes."""
    edit_script(scripts.COMMIT, CHECKED, "")


@plant(caught_by="locking", unrelated="replicas", also=("continuity",))
def fence_and_epoch_from_one_counter() -> None:
    """The fence is taken from the counter of the epochs.

    Every lock takes the right to append from the session's owner: a stream falls silent when its session is changed.
    """
    replace(keys, "fence", keys.epoch)


@plant(caught_by="shared-view", unrelated="session-record")
def lost_update() -> None:
    """The record is read before the lock is had, and what was made of it is written over what came in between.

    A change that meets a delete brings the session back.
    """
    edit(
        Lifecycle,
        "update",
        "updated: Stored | None = None",
        "updated, early = None, await self._store.read(session_id)",
    )
    edit(Lifecycle, "update", "if look.stored is None:", "if early is None:")
    edit(Lifecycle, "update", "now = look.stored.session", "now = early.session")
    edit(Lifecycle, "update", "after, look.stored.owner_alive", "after, early.owner_alive")
    edit(Lifecycle, "update", "now.owner, look.stored.raw, after", "now.owner, look.stored and look.stored.raw, after")


@plant(caught_by="continuity", unrelated="replicas", also=("history",))
def retried_append_that_ran_twice() -> None:
    """Every tenth batch of events is sent again, as when its answer is lost, and appended again behind itself.

    The stream really has these events twice then, and so has the history.
    """
    edit_script(scripts.APPEND, "return 'elsewhere'", "before = last")
    edit_script(scripts.APPEND, "if last == before + #ARGV - 3 and by == ARGV[1] then return 'ok' end", "")
    send, batches = Appender._send, 0

    async def impatient(self: Appender, feeds: list[Feed]) -> None:
        nonlocal batches
        batches += 1
        redis = self._redis
        try:
            if batches % LATE_EVERY == 0:
                self._redis = cast(Redis, _Twice(redis))
            await send(self, feeds)
        finally:
            self._redis = redis

    replace(Appender, "_send", impatient)


class _Twice:
    """A client whose pipelines are sent twice; the first answers count."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.script_load = redis.script_load

    def pipeline(self, *, transaction: bool) -> Pipeline:
        pipe = self._redis.pipeline(transaction=transaction)
        once = pipe.execute

        async def twice(*, raise_on_error: bool) -> list[Any]:
            commands = pipe.command_stack[:]
            answers = await once(raise_on_error=raise_on_error)
            pipe.command_stack = commands
            await once(raise_on_error=raise_on_error)
            return answers

        pipe.execute = twice  # type: ignore[method-assign,assignment]  # of this one pipeline
        return pipe
