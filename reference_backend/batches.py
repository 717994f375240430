"""Critical sections of many sessions at once: acquire and look at all, commit all, release all, a round trip each.

For what a replica does to sessions in bulk (taking over, handing over). A lock that somebody else holds is not waited
for: such a session is left out, and whoever asked comes back to it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import msgspec
from redis.asyncio import Redis

from reference_backend import keys
from reference_backend.locks import Hold, Locks
from reference_backend.scripts import LAST_SEQ, Call, Script
from reference_backend.store import Change, Look, Outcome, Store, looked

SIZE = 50

# KEYS promotion. -> when this server became primary by a failover, in Unix seconds, as far as anybody noticed; else 0.
# A server has a second replication id once it was promoted, and none after a restart with its data.
PROMOTED = Script("""
local said = redis.call('INFO', 'replication')
if (string.match(said, 'second_repl_offset:(%-?%d+)') or '-1') == '-1' then return '0' end
local mine = string.match(said, 'master_replid:(%w+)')
local known, since = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+) (%d+)$')
if known == mine then return since end
since = redis.call('TIME')[1]
redis.call('SET', KEYS[1], mine .. ' ' .. since)
return since
""")

# KEYS session, epoch, events. -> as LOOK, and `seq` and text of the stream's last message (0 and "")
STAND = Script(
    LAST_SEQ
    + """
local record, alive = redis.call('GET', KEYS[1]) or '', 0
if record ~= '' then alive = redis.call('EXISTS', 'backend:' .. cjson.decode(record).owner .. ':heartbeat') end
local time = redis.call('TIME')
local seq, _, message = last_entry(KEYS[3])
return {record, alive, redis.call('GET', KEYS[2]) or '0', time[1], time[2], seq, message}
"""
)


class _Dated(msgspec.Struct):
    """As much of a message as tells when it was made."""

    timestamp: str = ""
    until: str = ""


_dated = msgspec.json.Decoder(_Dated)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found under a session's lock: the look, and `seq` and text of its stream's last message (0 and "")."""

    look: Look
    hold: Hold
    seq: int
    last: bytes

    def older_than(self, unix_s: float) -> bool:
        """Whether nothing has been appended since this moment."""
        if not unix_s:
            return False
        said = _dated.decode(self.last) if self.last else _Dated()
        started = self.look.stored.session.startTime if self.look.stored else ""
        return datetime.fromisoformat(said.timestamp or said.until or started).timestamp() <= unix_s


@dataclass(frozen=True, slots=True)
class Batch:
    """Sessions whose locks are held; what they were when that began."""

    standing: Mapping[str, Standing]
    _store: Store

    async def commit(self, changes: Mapping[str, Change]) -> dict[str, Outcome]:
        """Carry out changes, each by itself; as `Store.commit`."""
        if not changes:
            return {}
        outcomes = await self._store.commit_all([(self.standing[i].hold, change) for i, change in changes.items()])
        return dict(zip(changes, outcomes, strict=True))


class Batches:
    """Makes batches."""

    def __init__(self, redis: Redis, store: Store, locks: Locks) -> None:
        self._redis = redis
        self._store = store
        self._locks = locks

    async def promoted_s(self) -> float:
        """When Redis's primary became that by a failover, in Unix seconds; 0 if it did not. Raises what Redis raises.

        What was appended before may have been lost with the one that failed. Each replica asks as soon as it is
        connected again, so that the moment is about right.
        """
        return float(await PROMOTED.run(self._redis, [keys.PROMOTION], []))

    @asynccontextmanager
    async def hold(self, ids: Sequence[str]) -> AsyncIterator[Batch]:
        """Hold those locks of `ids` that are free, for the length of the block. Raises what Redis raises."""
        looks: list[Call] = [([keys.session(i), keys.epoch(i), keys.events(i)], []) for i in ids]
        holds, answers = await self._locks.take_free(ids, STAND, looks)
        try:
            standing = {
                i: Standing(looked(answer[:5]), holds[i], *answer[5:])
                for i, answer in zip(ids, answers, strict=True)
                if i in holds
            }
            yield Batch(standing, self._store)
        finally:
            await asyncio.shield(self._locks.give_back(holds))
