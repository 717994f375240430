"""The scripts that run inside Redis, each one indivisible step.

Each may be sent twice: a second run of one whose answer was lost changes nothing and gives the same answer.

Fences and epochs have 16 digits and more. A script's numbers print only 14, so they stay strings and are compared by
length first.
"""

import hashlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from reference_backend.redis_access import command

Call = tuple[Sequence[str], Sequence[str | bytes | int | float]]
"""Keys and arguments of one run."""


class Script:
    """A script, sent by its digest, in full only where the server does not know it."""

    __slots__ = ("body", "sha")

    def __init__(self, body: str) -> None:
        self.body = body
        self.sha = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """Run it once. Raises what the client raises; the script may then have run or not."""
        try:
            return await command(redis, "EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await command(redis, "EVAL", self.body, len(keys), *keys, *args)


async def run_all(redis: Redis, *work: tuple[Script, Sequence[Call]]) -> list[list[Any]]:
    """Run scripts once for each of their calls, in this order and in one round trip; gives the answers of each script.

    Raises what the client raises; any of them may then have run or not.
    """
    answers = await _send(redis, work)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        for script, _ in work:
            await redis.script_load(script.body)
        answers = await _send(redis, work)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    rest = iter(answers)
    return [list(islice(rest, len(calls))) for _, calls in work]


async def _send(redis: Redis, work: Sequence[tuple[Script, Sequence[Call]]]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipe:
        for script, calls in work:
            for keys, args in calls:
                pipe.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    return answers


NUMBERS = """
local function less(a, b) return #a < #b or (#a == #b and a < b) end
local function successor(s)
  if #s < 10 then return string.format('%d', tonumber(s) + 1) end
  local head, tail = string.sub(s, 1, -10), tonumber(string.sub(s, -9)) + 1
  if tail < 1000000000 then return head .. string.format('%09d', tail) end
  return successor(head) .. '000000000'
end
"""

# KEYS lock, fence. ARGV token, lock's TTL ms, fence's TTL ms. -> {1, fence} or {0, remaining TTL of the other's lock}
ACQUIRE = Script(
    NUMBERS
    + """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[1])} end
  local mine = redis.call('GET', KEYS[2])
  if mine then return {1, mine} end
end
local time = redis.call('TIME')
local fence = time[1] .. string.format('%06d', time[2])
local last = redis.call('GET', KEYS[2])
if last and not less(last, fence) then fence = successor(last) end
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
return {1, fence}
"""
)

# KEYS lock. ARGV token. -> how many other processes were told, -1 if it was not ours any more
RELEASE = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('DEL', KEYS[1])
return redis.call('PUBLISH', KEYS[1], 'released')
"""
)

LAST_SEQ = """
local function last_entry(events)
  local entry = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
  if not entry then return 0, '', '' end
  return tonumber(string.match(entry[1], '^%d+')), entry[2][2], entry[2][4]
end
"""

# The commit of a critical section: all keys of a session change together, or none does.
# -> ok | lost (lock or fence are another's) | changed (not what was looked at) | duplicate | dead (no heartbeat)
# With a former owner the session gets another one; what nobody observed meanwhile is announced in the same step.
# A new stream of a session that had one: what is left of that one is the history's, and all who follow it are told.
COMMIT = Script(
    NUMBERS
    + LAST_SEQ
    + """
local lock, fence, session, active, owned, epoch, stream, events = unpack(KEYS, 1, 8)
local due, tail, records, websocket, watchers, heartbeat, idempotency, former = unpack(KEYS, 9, 16)
local id, token, my_fence, expected, record, new_epoch, new_stream = unpack(ARGV, 1, 7)
local due_ms, keep_ms, end_head, end_tail, history, owned_ttl_ms, idempotency_ttl_s = unpack(ARGV, 8, 14)
local lost_head, lost_since, lost_until, lost_tail, had, former_keep_ms = unpack(ARGV, 15, 20)

if redis.call('GET', lock) ~= token or redis.call('GET', fence) ~= my_fence then return 'lost' end
local current = redis.call('GET', session) or ''
if current == record then return 'ok' end
if current ~= expected then return 'changed' end
if new_epoch ~= '' then
  local last = redis.call('GET', epoch)
  if last and not less(last, new_epoch) then return 'changed' end
end
if (new_stream ~= '' or former ~= '') and redis.call('EXISTS', heartbeat) == 0 then return 'dead' end
local seq, by, message = 0, '', ''
if lost_head ~= '' then seq, by, message = last_entry(events) end
if new_stream ~= '' and expected == '' then
  if idempotency ~= '' and not redis.call('SET', idempotency, id, 'NX', 'EX', idempotency_ttl_s) then
    return 'duplicate'
  end
  redis.call('SADD', active, id)
elseif new_stream ~= '' then
  local last = redis.call('GET', stream) or ''
  if new_stream <= last then new_stream = last .. '0' end
  if seq == 0 then redis.call('DEL', events) end
  if tonumber(had) > seq then
    redis.pcall('XADD', events, had .. '-0', 'epoch', '', 'message', string.format(
      '{"type":"gap","sessionId":"%s","from":%d,"to":%s,"reason":"lost by Redis","timestamp":"%s"}',
      id, seq + 1, had, lost_until))
  end
  if history ~= '' and redis.call('EXISTS', events) == 1 then
    redis.call('RENAME', events, events .. ':' .. last)
    redis.call('PEXPIRE', events .. ':' .. last, former_keep_ms)
    redis.call('SADD', tail, id .. '/' .. last)
  end
  redis.call('DEL', events)
  for _, instance in ipairs(redis.call('ZRANGE', watchers, 0, -1)) do
    if redis.call('EXISTS', 'backend:' .. instance .. ':heartbeat') == 1 then
      local control = 'backend:' .. instance .. ':control'
      redis.call('XADD', control, 'MAXLEN', '~', 1000, '*', 'changed', id)
      redis.call('PEXPIRE', control, owned_ttl_ms)
    end
  end
  seq = 0
end
if new_stream ~= '' then redis.call('SET', stream, new_stream) end
if former ~= '' then
  redis.call('SREM', former, id)
elseif new_stream == '' and new_epoch ~= '' then
  redis.call('SREM', owned, id)
  if history ~= '' then redis.call('SADD', tail, id) end
end
if new_stream ~= '' or former ~= '' then
  redis.call('SADD', owned, id)
  redis.call('PEXPIRE', owned, owned_ttl_ms)
end
if new_epoch ~= '' then redis.call('SET', epoch, new_epoch) end
if lost_head ~= '' then
  local since = string.match(message, '^{"type":"event",[^{}]-"timestamp":"([^"]*)"')
    or string.match(message, '^{"type":"interruption",.-"until":"([^"]*)"') or lost_since
  if since > lost_until then since = lost_until end
  redis.call('XADD', events, string.format('%d-0', seq + 1), 'epoch', new_epoch, 'message',
    lost_head .. string.format('%d', seq + 1) .. ',"since":"' .. since .. '","until":"' .. lost_until .. lost_tail)
end
if end_head ~= '' then
  local last = last_entry(events) + 1
  redis.call('XADD', events, string.format('%d-0', last), 'epoch', new_epoch, 'message',
    end_head .. string.format('%d', last) .. end_tail)
end
if record == '' then
  redis.call('DEL', session, websocket, watchers)
  redis.call('SREM', active, id)
  redis.call('ZREM', due, id)
else
  redis.call('SET', session, record)
  if due_ms ~= '' then redis.call('ZADD', due, due_ms, id) end
end
if keep_ms ~= '' then
  for _, key in ipairs({events, stream, epoch, fence}) do redis.call('PEXPIRE', key, keep_ms) end
end
if history ~= '' then redis.call('XADD', records, 'MAXLEN', '~', 1000000, '*', 'record', history) end
return 'ok'
"""
)

# KEYS epoch, events. ARGV epoch, the predecessor's seq, length kept, messages... -> ok | stale | elsewhere
# Without messages it only tells whether that predecessor is still the last one.
APPEND = Script(
    LAST_SEQ
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end
local last, by = last_entry(KEYS[2])
local before = tonumber(ARGV[2])
if last ~= before then
  if last == before + #ARGV - 3 and by == ARGV[1] then return 'ok' end
  return 'elsewhere'
end
for i = 4, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], string.format('%d-0', before + i - 3),
    'epoch', ARGV[1], 'message', ARGV[i])
end
return 'ok'
"""
)

# KEYS session. -> {record, whether its owner has a heartbeat} or nil
READ = Script(
    """
local record = redis.call('GET', KEYS[1])
if not record then return nil end
return {record, redis.call('EXISTS', 'backend:' .. cjson.decode(record).owner .. ':heartbeat')}
"""
)

# KEYS session, epoch. -> {record or "", whether its owner has a heartbeat, last epoch or "0", seconds, microseconds}
LOOK = Script(
    """
local record, alive = redis.call('GET', KEYS[1]) or '', 0
if record ~= '' then alive = redis.call('EXISTS', 'backend:' .. cjson.decode(record).owner .. ':heartbeat') end
local time = redis.call('TIME')
return {record, alive, redis.call('GET', KEYS[2]) or '0', time[1], time[2]}
"""
)

# KEYS ws, watchers. ARGV instance, TTL ms, 1 if new. A watcher is here, or still here.
WATCHED = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if ARGV[3] == '1' or not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  local holder = redis.call('GET', KEYS[1])
  if ARGV[3] == '1' or holder == ARGV[1] or redis.call('EXISTS', 'backend:' .. holder .. ':heartbeat') == 0 then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  end
end
return 1
"""
)

# KEYS ws, watchers. ARGV instance. The last watcher here has left; another replica that still has one is named instead.
UNWATCHED = Script(
    """
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], string.format('%.0f', now + 1), '+inf')) do
  if redis.call('EXISTS', 'backend:' .. other .. ':heartbeat') == 1 then
    local left = redis.call('ZSCORE', KEYS[2], other) - now
    redis.call('SET', KEYS[1], other, 'PX', string.format('%.0f', left))
    return 1
  end
end
return 0
"""
)

# KEYS tail, events. ARGV id, seq. The history has a session's events up to `seq`; nothing was added since: forget it.
TAIL_DONE = Script(
    LAST_SEQ
    + """
if last_entry(KEYS[2]) > tonumber(ARGV[2]) then return 0 end
return redis.call('SREM', KEYS[1], ARGV[1])
"""
)
