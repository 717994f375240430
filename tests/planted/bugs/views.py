"""Bugs around what a replica shows and acknowledges: lists and answers that are not what Redis has."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from planted.base import plant
from planted.patching import edit, edit_script, replace
from reference_backend import scripts, store
from reference_backend.api.sessions import SessionCalls
from reference_backend.errors import ApiError, no_session
from reference_backend.lifecycle import Lifecycle
from reference_backend.locks import Hold, Locks
from reference_backend.session import Labels, Stored, decode, encode
from reference_backend.store import Change, Look, Outcome, Store

CACHED_S = 0.2
WRITTEN_LATE_S = 0.05


@plant(caught_by="shared-view", unrelated="session-record", also=("restart-persistence", "scaling"))
def list_from_local_memory() -> None:
    """A replica lists the sessions whose gadgets run in it, and not those of the others: no list is complete."""
    edit(
        SessionCalls,
        "list",
        "ids = await self._store.ids()",
        "ids = sorted(s.id for s in self._lifecycle._runner.sessions())",
    )


@plant(caught_by="shared-view", unrelated="history", also=("session-record", "restart-persistence", "scaling"))
def list_cached_for_200_ms() -> None:
    """A replica answers lists from a cache of 200 ms.

    A session that was just deleted may stand in it, and one that was just made may not: whoever compares a list with
    what was acknowledged may blame it.
    """
    listing = SessionCalls.list
    cached: dict[str, tuple[float, Response]] = {}

    async def from_cache(self: SessionCalls, request: Request) -> Response:
        query = str(request.query_params)
        at, answer = cached.get(query, (0.0, None))
        if answer is None or time.monotonic() - at > CACHED_S:
            answer = await listing(self, request)
            cached[query] = time.monotonic(), answer
        return answer

    replace(SessionCalls, "list", from_cache)


@plant(caught_by="restart-persistence", unrelated="session-record", also=("scaling",))
def list_without_those_of_a_dead_replica() -> None:
    """A list leaves out sessions whose owner has no heartbeat: they are lost to users although Redis has them."""
    edit(Store, "records", "yield Stored(raw, session, alive[session.owner])",
         "if alive[session.owner]:\n                    yield Stored(raw, session, True)")  # fmt: skip


@plant(caught_by="shared-view", unrelated="replicas", also=("restart-persistence", "locking"))
def acknowledged_before_written() -> None:
    """A change is acknowledged 50 ms before it is written; a fault in between loses it.

    It takes its lock when its client has gone; so a holder that is to be overtaken may never be met.
    """
    update = Lifecycle.update

    async def soon(self: Lifecycle, session_id: str, labels: Labels, if_revision: int | None) -> Stored:
        stored = await self._store.read(session_id)
        if stored is None:
            raise no_session(session_id)

        async def write() -> None:
            await asyncio.sleep(WRITTEN_LATE_S)
            with contextlib.suppress(ApiError):
                await update(self, session_id, labels, if_revision)

        self._sections.spawn(write())
        after = msgspec.structs.replace(stored.session, labels=labels, revision=stored.session.revision + 1)
        return Stored(encode(after), after, stored.owner_alive)

    replace(Lifecycle, "update", soon)


@plant(
    caught_by="restart-persistence",
    unrelated="replicas",
    also=("session-record", "shared-view", "stickiness", "affinity", "scaling", "heartbeat", "locking", "history"),
)
def sessions_in_memory_only() -> None:
    """The records stay in the memory of the replica that made them.

    No other replica knows such a session, and it goes with its process: whatever meets a session on two replicas, or
    looks for its keys, may be blamed as well.
    """
    edit_script(scripts.COMMIT, "local current = redis.call('GET', session) or ''", "local current = expected")
    edit_script(scripts.COMMIT, "redis.call('SET', session, record)", "")
    edit_script(scripts.COMMIT, "redis.call('SADD', active, id)\n", "\n")
    edit_script(scripts.COMMIT, "redis.call('SADD', owned, id)\n", "\n")
    replace(store, "Store", _InMemory)


class _InMemory(Store):
    """Keeps the records here; the other keys, which streams need, are where they were."""

    _records: ClassVar[dict[str, bytes]] = {}

    async def read(self, session_id: str) -> Stored | None:
        raw = self._records.get(session_id)
        return Stored(raw, decode(raw), owner_alive=True) if raw else None

    async def look(self, session_id: str) -> Look:
        return Look(await self.read(session_id), (await super().look(session_id)).next_epoch)

    async def exists(self, session_id: str) -> bool:
        return session_id in self._records

    async def ids(self) -> list[str]:
        return sorted(self._records)

    async def records(self, ids: Sequence[str]) -> AsyncIterator[Stored]:
        for raw in [self._records[i] for i in ids if i in self._records]:
            yield Stored(raw, decode(raw), owner_alive=True)

    async def commit(self, hold: Hold, change: Change) -> Outcome:
        outcome = await super().commit(hold, change)
        if outcome == "ok" and change.after:
            self._records[change.session_id] = encode(change.after)
        elif outcome == "ok":
            self._records.pop(change.session_id, None)
        return outcome


@plant(caught_by="shared-view", unrelated="session-record", also=("locking",))
def server_error_under_contention() -> None:
    """A replica that finds a session's lock taken by another answers 500 instead of waiting.

    Where nobody waits for a lock there may be too little contention to judge locking by.
    """
    edit(Locks, "_acquire", "self.waited += 1", "raise RuntimeError('the lock is taken')")
