"""What Redis has of a running system, by the names of the contract; one pass over its keys, and never a write."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from limpet.contract import Contract
from limpet.errors import LimpetError
from limpet.status.keys import Patterns

WITHIN_S = 3.0
KEYS_MAX = 200_000  # looked at; beyond, figures are marked as lower bounds
UNKNOWN_KEYS_MAX = 2_000  # kept of those that follow no pattern
NO_EXPIRY = -1
GONE = -2


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One heartbeat key: its text, and the milliseconds that it has to live (-1: for ever)."""

    value: str
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock: the holder's token, and the milliseconds until it expires (-1: never)."""

    holder: str
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Server:
    """How the server itself stands.

    Attributes:
        time_s: its clock, Unix seconds.
        info: what INFO says.
        config: `save` and `appendfsync`; empty where CONFIG is forbidden.
    """

    time_s: float
    info: Mapping[str, Any]
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Keys:
    """What the keys say, each only where the contract names it.

    Attributes:
        active: ids in the set of all sessions; None where the contract has none, or it is no set.
        active_ttl_ms: its time to live; -1 is none, -2 when there is no such key.
        owned: instance -> ids that it owns.
        heartbeats: by instance.
        locks: by session.
        websockets: session -> instance.
        records: session -> milliseconds its record has to live; -1 is for ever.
        fences, streams: sessions that have such a key.
        ending: sessions whose events, or one of the further keys, have a time to live: they ended. A fence may have
            one all the time.
        unknown: keys that follow no pattern, and their types; a part of them when there are many.
        other_types: keys of the contract that are of another type than it says, and which.
        counted: how many keys were looked at.
        whole: whether that was all of them.
    """

    active: frozenset[str] | None = None
    active_ttl_ms: int = GONE
    owned: Mapping[str, frozenset[str]] = field(default_factory=dict)
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    locks: Mapping[str, Lock] = field(default_factory=dict)
    websockets: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    fences: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    ending: frozenset[str] = frozenset()
    unknown: Mapping[str, str] = field(default_factory=dict)
    other_types: Mapping[str, str] = field(default_factory=dict)
    counted: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class InRedis:
    """One look."""

    server: Server
    keys: Keys


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Redis]:
    """A client that gives up soon and never repeats. Raises LimpetError when `url` is none."""
    try:
        redis = Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            client_name="limpet",
            socket_timeout=WITHIN_S,
            socket_connect_timeout=WITHIN_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise LimpetError(f"{url!r} is no address of Redis: {error}") from error
    try:
        yield redis
    finally:
        await redis.aclose()


async def look(redis: Redis, contract: Contract) -> InRedis:
    """Look once. Raises RedisError (and OSError) when the server cannot be asked."""
    server = await _server(redis)
    return InRedis(server, await _keys(redis, Patterns(contract.redis)))


async def _server(redis: Redis) -> Server:
    seconds, microseconds = await redis.time()
    config: dict[str, str] = {}
    try:
        for name in ("save", "appendfsync"):
            config |= {str(key): str(value) for key, value in (await redis.config_get(name)).items()}
    except RedisError:  # forbidden where others run the server
        config = {}
    return Server(seconds + microseconds / 1e6, await redis.info(), config)


async def _keys(redis: Redis, patterns: Patterns) -> Keys:
    found: dict[str, dict[str, str]] = defaultdict(dict)  # kind -> id -> key
    also: list[tuple[str, str]] = []
    unknown: list[str] = []
    counted = 0
    async for key in redis.scan_iter(count=1000):
        counted += 1
        match = patterns.match(key)
        if match is None:
            unknown += [key] if len(unknown) < UNKNOWN_KEYS_MAX else []
        elif match.kind == "also":
            also.append((match.id, key))
        else:
            found[match.kind][match.id] = key
        if counted == KEYS_MAX:
            break
    reader = _Reader(redis)
    active_key = patterns.named.get("active", "")
    owned = await reader.each("SMEMBERS", found["owned"])
    active = (await reader.each("SMEMBERS", found["active"])).get("")
    heartbeats = await reader.each("GET", found["heartbeat"]), await reader.each("PTTL", found["heartbeat"])
    locks = await reader.each("GET", found["lock"]), await reader.each("PTTL", found["lock"])
    records = await reader.each("PTTL", found["session"])
    others = {key: id_ for id_, key in found["events"].items()} | {key: id_ for id_, key in also}
    lives = await reader.each("PTTL", {key: key for key in others})
    return Keys(
        active=frozenset(active or ()) if active_key and active_key not in reader.refused else None,
        active_ttl_ms=(await reader.each("PTTL", found["active"])).get("", GONE),
        owned={instance: frozenset(ids) for instance, ids in owned.items()},
        heartbeats={i: Heartbeat(text, heartbeats[1].get(i, GONE)) for i, text in heartbeats[0].items()},
        locks={i: Lock(text, locks[1].get(i, GONE)) for i, text in locks[0].items()},
        websockets=await reader.each("GET", found["websocket"]),
        records={id_: ttl_ms for id_, ttl_ms in records.items() if ttl_ms != GONE},
        fences=frozenset(found["fence"]),
        streams=frozenset(found["events"]),
        ending=frozenset(others[key] for key, ttl_ms in lives.items() if ttl_ms >= 0),
        unknown=await reader.each("TYPE", {key: key for key in unknown}),
        other_types=await reader.each("TYPE", {key: key for key in reader.refused}),
        counted=counted,
        whole=counted < KEYS_MAX,
    )


class _Reader:
    """Asks one command of many keys. A key that went away since is left out; one of another type is remembered."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.refused: set[str] = set()

    async def each(self, command: str, keys: Mapping[str, str]) -> dict[str, Any]:
        """The answers, by the names that the keys have in `keys`."""
        answers: dict[str, Any] = {}
        names = list(keys)
        for some in (names[start : start + 1000] for start in range(0, len(names), 1000)):
            answers |= zip(some, await self._ask(command, [keys[name] for name in some]), strict=True)
        self.refused |= {keys[name] for name, answer in answers.items() if isinstance(answer, RedisError)}
        return {name: answer for name, answer in answers.items() if not isinstance(answer, RedisError | None)}

    async def _ask(self, command: str, keys: Sequence[str]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.execute_command(command, key)
            return list(await pipe.execute(raise_on_error=False))


def unreachable(error: Exception) -> str:
    """Why Redis could not be asked, in one line."""
    text = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
    return f"{text or 'no answer'} ({type(error).__name__})"
