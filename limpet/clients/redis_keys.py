"""A look into the backend's Redis: what the contract says of a session or a replica, read in one transaction.

Written to the history as the operation `look`, with what was seen as its value.
"""

import json
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from limpet.contract import Contract
from limpet.errors import ClientError
from limpet.history import History, Recorder

GONE = -2  # a TTL, of a key that is not there


class Looker:
    """Reads keys by the names of the contract, never writes. Without a server (None) it sees and records nothing."""

    def __init__(self, contract: Contract, history: History, redis: Redis | None) -> None:
        self._keys = contract.redis
        self._redis = redis
        self._recorder = Recorder(history)

    async def session(self, session: str, step: str) -> dict[str, Any]:
        """What Redis has of one session.

        Returns, for what the contract names: `session` {"type", "ttl_ms", "json"}, `active` (bool), `owners` (instances
        whose owned set has it), `websocket` (str or None), `left` {key: ttl_ms} of all keys that name the id. A TTL of
        -1 is none.
        """
        keys, redis = self._keys, self._redis
        if redis is None:
            return {}
        names = [
            pattern.format(id=session)
            for pattern in (keys.session, keys.websocket, keys.lock, keys.fence, keys.events, keys.epoch, *keys.also)
            if pattern and "{id}" in pattern
        ]
        async with self._recorder.operation("look", session, step) as done:
            seen = await self._read_session(redis, session, names)
            done.ok(value=seen, step=step)
            return seen
        return {}

    async def _read_session(self, redis: Redis, session: str, names: list[str]) -> dict[str, Any]:
        keys = self._keys
        try:
            owned_sets = [key async for key in redis.scan_iter(_glob(keys.owned), count=1000)] if keys.owned else []
            async with redis.pipeline(transaction=True) as pipe:
                for name in names:
                    pipe.execute_command("TYPE", name)
                    pipe.execute_command("PTTL", name)
                if keys.session:
                    pipe.execute_command("GET", keys.session.format(id=session))
                if keys.websocket:
                    pipe.execute_command("GET", keys.websocket.format(id=session))
                if keys.active:
                    pipe.execute_command("SISMEMBER", keys.active, session)
                for name in owned_sets:
                    pipe.execute_command("SISMEMBER", name, session)
                answers = iter(await pipe.execute(raise_on_error=False))
        except RedisError as error:
            raise ClientError(f"{type(error).__name__}: {error}") from error
        left = {name: (next(answers), next(answers)) for name in names}
        seen: dict[str, Any] = {"left": {name: ttl for name, (kind, ttl) in left.items() if kind != "none"}}
        if keys.session:
            kind, ttl = left[keys.session.format(id=session)]
            seen["session"] = {"type": kind, "ttl_ms": ttl, "json": _parsed(next(answers))}
        if keys.websocket:
            seen["websocket"] = _text(next(answers))
        if keys.active:
            seen["active"] = next(answers) == 1
        seen["owners"] = [_instance(keys.owned or "", name) for name in owned_sets if next(answers) == 1]
        return seen

    async def replicas(self) -> dict[str, Any]:
        """{instance: value} of all heartbeat keys, with their TTLs in the history."""
        pattern, redis = self._keys.heartbeat, self._redis
        if pattern is None or redis is None:
            return {}
        async with self._recorder.operation("heartbeats") as done:
            try:
                names = [key async for key in redis.scan_iter(_glob(pattern), count=1000)]
                async with redis.pipeline(transaction=True) as pipe:
                    pipe.execute_command("TIME")
                    for name in names:
                        pipe.execute_command("GET", name)
                        pipe.execute_command("PTTL", name)
                    answers = iter(await pipe.execute())
            except RedisError as error:
                raise ClientError(f"{type(error).__name__}: {error}") from error
            moment = next(answers)
            seen = {_instance(pattern, name): {"value": next(answers), "ttl_ms": next(answers)} for name in names}
            done.ok(value=seen, server_time=_seconds(moment))
            return {name: key["value"] for name, key in seen.items()}
        return {}

    async def owners(self, step: str) -> dict[str, list[str]]:
        """Who owns what: {instance: ids} of all owned sets, read in one transaction."""
        pattern, redis = self._keys.owned, self._redis
        if pattern is None or redis is None:
            return {}
        async with self._recorder.operation("owners", value=step) as done:
            try:
                names = [key async for key in redis.scan_iter(_glob(pattern), count=1000)]
                async with redis.pipeline(transaction=True) as pipe:
                    for name in names:
                        pipe.execute_command("SMEMBERS", name)
                    members = await pipe.execute()
            except RedisError as error:
                raise ClientError(f"{type(error).__name__}: {error}") from error
            owned = {_instance(pattern, name): sorted(ids) for name, ids in zip(names, members, strict=True) if ids}
            done.ok(value=owned, step=step)
            return owned
        return {}

    async def locks(self) -> dict[str, int]:
        """The locks of all sessions that are held just now, and the TTL of each in milliseconds (-1 is none)."""
        pattern, redis = self._keys.lock, self._redis
        if pattern is None or redis is None:
            return {}
        async with self._recorder.operation("locks") as done:
            try:
                names = [key async for key in redis.scan_iter(_glob(pattern), count=1000)]
                ttls = {name: await redis.pttl(name) for name in names}
            except RedisError as error:
                raise ClientError(f"{type(error).__name__}: {error}") from error
            held = {name: ttl_ms for name, ttl_ms in ttls.items() if ttl_ms != GONE}
            done.ok(value=held)
            return held
        return {}

    async def traces_of(self, sessions: list[str]) -> dict[str, int]:
        """Every key of the whole server whose name has one of these ids, and its TTL in milliseconds (-1 is none)."""
        redis = self._redis
        if redis is None:
            return {}
        async with self._recorder.operation("traces", value=len(sessions)) as done:
            try:
                wanted = set(sessions)
                found = {}
                async for key in redis.scan_iter(count=1000):
                    if any(part in wanted for part in key.replace(":", " ").split()):
                        found[key] = await redis.pttl(key)
            except RedisError as error:
                raise ClientError(f"{type(error).__name__}: {error}") from error
            done.ok(value=found)
            return found
        return {}


def _glob(pattern: str) -> str:
    return pattern.format(instance="*", id="*")


def _instance(pattern: str, key: str) -> str:
    before, _, after = pattern.partition("{instance}")
    return key.removeprefix(before).removesuffix(after)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None  # an error reply, where the key has another type, is none


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None


def _seconds(moment: Any) -> float:
    return float(moment[0]) + float(moment[1]) / 1e6
