"""The sessions in Redis: reading them, listing them, and committing a change under a session's lock."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from reference_backend import keys, messages, scripts
from reference_backend.errors import unavailable
from reference_backend.locks import Hold
from reference_backend.messages import Observed
from reference_backend.redis_access import UNREACHABLE
from reference_backend.session import Session, Stored, decode, encode, rfc3339
from reference_backend.settings import Settings

CHUNK = 500
IDEMPOTENCY_TTL_S = 24 * 3600
COMMIT_TRIES = 3

Outcome = Literal["ok", "lost", "changed", "duplicate", "dead"]


@dataclass(frozen=True, slots=True)
class Look:
    """What the holder of a lock found: the record, if there is one, and the next epoch, should the owner change."""

    stored: Stored | None
    next_epoch: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit does to all keys of one session.

    Attributes:
        session_id: the session.
        owner: whose owned set it enters or leaves.
        former: whose owned set it leaves for that, if it gets another owner.
        before: the record that was looked at; None if there was none.
        after: the new record; None removes the session.
        epoch: the new epoch, if nobody shall append under the old one any more.
        stream: the id of the stream that begins with this change. If the session has one already, that one is over:
            what is left of it goes to the history, and those who follow it are told. Needs `lost`.
        had: the last `seq` that one was seen to have; what Redis lost of it becomes a gap in the history.
        end: the last message of the stream, if it ends with this change.
        due_s: when the sweeper is to look at it, in Unix seconds.
        keep: whether stream and numbers shall expire from now on.
        record: what the history is told of the session, if it is told.
        idempotency_key: the client's key, at a create.
        lost: why nobody observed it since the last message of its stream, if that is so: it is announced with this
            change.
    """

    session_id: str
    owner: str
    before: bytes | None
    after: Session | None
    epoch: int | None = None
    stream: str = ""
    end: Observed | None = None
    due_s: float | None = None
    keep: bool = False
    record: Session | None = None
    idempotency_key: str | None = None
    former: str | None = None
    lost: str | None = None
    had: int = 0


class Store:
    """All sessions, as Redis has them now; nothing is kept in memory."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keep_ms = int(settings.ended_keep_s * 1000)
        self._owned_ttl_ms = int(settings.heartbeat_ttl_s * 1000)
        self._history = settings.database_url is not None

    async def read(self, session_id: str) -> Stored | None:
        """One session."""
        answer = await scripts.READ.run(self._redis, [keys.session(session_id)], [])
        return Stored(answer[0], decode(answer[0]), bool(answer[1])) if answer else None

    async def look(self, session_id: str) -> Look:
        """What a critical section begins with."""
        return looked(await scripts.LOOK.run(self._redis, [keys.session(session_id), keys.epoch(session_id)], []))

    async def exists(self, session_id: str) -> bool:
        """Whether there is such a session."""
        return bool(await self._redis.exists(keys.session(session_id)))

    async def by_idempotency_key(self, key: str) -> str | None:
        """The id of the session created with this key."""
        found: Any = await self._redis.get(keys.idempotency(key))
        return str(found.decode()) if found else None

    async def epochs(self, ids: Sequence[str]) -> list[int]:
        """The last epochs handed out for these sessions; 0 for one that is not known."""
        found: Any = await self._redis.mget([keys.epoch(i) for i in ids]) if ids else []
        return [int(epoch or 0) for epoch in found]

    async def ids(self) -> list[str]:
        """The ids of all sessions, in the order of pages."""
        members: Any = await self._redis.smembers(keys.ACTIVE)
        return sorted(member.decode() for member in members)

    async def records(self, ids: Sequence[str]) -> AsyncIterator[Stored]:
        """Those of `ids` that exist, in order: two round trips for five hundred."""
        alive: dict[str, bool] = {}
        for start in range(0, len(ids), CHUNK):
            raws: Any = await self._redis.mget([keys.session(i) for i in ids[start : start + CHUNK]])
            found = [(raw, decode(raw)) for raw in raws if raw is not None]
            unknown = list({session.owner for _, session in found} - alive.keys())
            if unknown:
                beats = await self._redis.mget([keys.heartbeat(owner) for owner in unknown])
                alive |= {owner: beat is not None for owner, beat in zip(unknown, beats, strict=True)}
            for raw, session in found:
                yield Stored(raw, session, alive[session.owner])

    async def commit(self, hold: Hold, change: Change) -> Outcome:
        """Carry out a change if the lock is still ours and the record is still the one that was looked at.

        `lost`, `changed`, `duplicate` and `dead` (no heartbeat of the owner) mean that nothing was changed. A lost
        answer is asked for again.

        Raises:
            redis.exceptions.RedisError: Redis does not answer; the change may have been made or not.
        """
        for tries_left in range(COMMIT_TRIES - 1, -1, -1):
            try:
                outcome = await scripts.COMMIT.run(self._redis, *self._command(hold, change))
            except UNREACHABLE:
                if not tries_left:
                    raise
            else:
                answer: Outcome = outcome.decode()
                return answer
        raise AssertionError("not reached")

    async def commit_all(self, changes: Sequence[tuple[Hold, Change]]) -> list[Outcome]:
        """The same for many sessions, each change by itself, in one round trip."""
        commands = [self._command(hold, change) for hold, change in changes]
        for tries_left in range(COMMIT_TRIES - 1, -1, -1):
            try:
                (outcomes,) = await scripts.run_all(self._redis, (scripts.COMMIT, commands))
            except UNREACHABLE:
                if not tries_left:
                    raise
            else:
                return [outcome.decode() for outcome in outcomes]
        raise AssertionError("not reached")

    def _command(self, hold: Hold, change: Change) -> tuple[list[str], list[str | bytes | int | float]]:
        i = change.session_id
        names = [
            keys.lock(i),
            keys.fence(i),
            keys.session(i),
            keys.ACTIVE,
            keys.owned(change.owner),
            keys.epoch(i),
            keys.stream(i),
            keys.events(i),
            keys.DUE,
            keys.HISTORY_TAIL,
            keys.HISTORY_RECORDS,
            keys.websocket(i),
            keys.watchers(i),
            keys.heartbeat(change.owner),
            keys.idempotency(change.idempotency_key) if change.idempotency_key else "",
            keys.owned(change.former) if change.former else "",
        ]
        lost: tuple[str | bytes, ...] = ("", "", "", "")
        if change.lost is not None and change.after is not None:
            lost = messages.announcement(i, change.after.startTime, rfc3339(time.time()), change.lost)
        return names, [
            i,
            hold.token,
            hold.fence,
            change.before or b"",
            encode(change.after) if change.after else b"",
            change.epoch or "",
            change.stream,
            "" if change.due_s is None else int(change.due_s * 1000),
            self._keep_ms if change.keep else "",
            change.end.head if change.end else "",
            change.end.tail if change.end else "",
            encode(change.record) if change.record and self._history else "",
            self._owned_ttl_ms,
            IDEMPOTENCY_TTL_S,
            *lost,
            change.had,
            self._keep_ms,
        ]

    async def due(self, limit: int) -> list[str]:
        """Sessions whose time has come."""
        found: Any = await self._redis.zrange(keys.DUE, 0, int(time.time() * 1000), byscore=True, offset=0, num=limit)
        return [member.decode() for member in found]

    async def forget(self, session_id: str) -> None:
        """Take an id that has no record out of the index."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.srem(keys.ACTIVE, session_id)
            pipe.zrem(keys.DUE, session_id)
            await pipe.execute()


def looked(answer: Any) -> Look:
    """What the script LOOK answered."""
    raw, alive, last, seconds, micros = answer
    stored = Stored(raw, decode(raw), bool(alive)) if raw else None
    return Look(stored, max(int(last) + 1, int(seconds) * 1_000_000 + int(micros)))


def retry_later(outcome: Outcome) -> Exception:
    """What a client is told when a commit was refused too often."""
    return unavailable("contended", f"the session's keys changed meanwhile ({outcome}); nothing was done")
