"""A look at a system as the figures that `limpet status` shows and `--json` writes."""

from collections.abc import Mapping
from typing import Any

from limpet.clock import unix_s
from limpet.status.in_redis import GONE, NO_EXPIRY, InRedis
from limpet.status.look import Status


def figures(status: Status) -> dict[str, Any]:
    """All of it, in JSON's own types. What the contract does not offer, or nobody tells, is null."""
    return {
        "time": round(unix_s(), 3),
        "contract": status.place.contract.name,
        "redis": _redis(status, status.redis) if status.redis else {"error": status.redis_error},
        "ingress": _ingress(status),
        "replicas": [_replica(status, index) for index in range(len(status.replicas))],
        "instances": _instances(status),
        "locks": _locks(status),
        "websockets": dict(status.redis.keys.websockets) if status.redis and _offers(status, "websocket") else None,
    }


def heartbeat_age_s(redis: InRedis, instance: str) -> float | None:
    """Seconds from what a heartbeat says to now by the server's clock; None when there is none that can be read."""
    beat = redis.keys.heartbeats.get(instance)
    try:
        return None if beat is None else redis.server.time_s - float(beat.value)
    except ValueError:
        return None


def life_s(ttl_ms: int) -> float | None:
    """A time to live in seconds; None for one that has no end, or is over."""
    return None if ttl_ms in (NO_EXPIRY, GONE) else ttl_ms / 1000


def _offers(status: Status, key: str) -> bool:
    return getattr(status.place.contract.redis, key) is not None


def _redis(status: Status, redis: InRedis) -> dict[str, Any]:
    keys, info = redis.keys, redis.server.info
    return {
        "version": str(info.get("valkey_version") or info.get("redis_version") or ""),
        "uptime_s": info.get("uptime_in_seconds"),
        "append_only": bool(info.get("aof_enabled")),
        "appendfsync": redis.server.config.get("appendfsync"),
        "save": redis.server.config.get("save"),
        "maxmemory": info.get("maxmemory"),
        "maxmemory_policy": info.get("maxmemory_policy"),
        "evicted_keys": info.get("evicted_keys"),
        "active": len(keys.active) if keys.active is not None else None,
        "records": len(keys.records) if _offers(status, "session") else None,
        "owned": sum(map(len, keys.owned.values())) if _offers(status, "owned") else None,
        "websockets": len(keys.websockets) if _offers(status, "websocket") else None,
        "locks": len(keys.locks) if _offers(status, "lock") else None,
        "keys": keys.counted,
        "whole": keys.whole,
        "other_types": dict(keys.other_types),
    }


def _ingress(status: Status) -> dict[str, Any] | None:
    seen = status.ingress
    if seen is None:
        return None
    wanted = status.place.contract.ingress
    return {
        "url": status.place.base_url,
        "status": seen.status,
        "error": seen.error,
        "cookie_wanted": wanted.cookie if wanted else None,
        "cookies_set": [cookie.partition("=")[0] for cookie in seen.cookies],
        "sessions_listed": seen.listed,
        "services": [
            {"name": s.name, "servers": list(s.servers), "cookie": s.cookie, "attributes": list(s.attributes)}
            for s in seen.services
        ]
        if seen.services is not None
        else None,
        "routes_error": seen.routes_error,
    }


def _replica(status: Status, index: int) -> dict[str, Any]:
    replica = status.replicas[index]
    probes = {"health": replica.health, "ready": replica.ready}
    return {
        "name": replica.name,
        "address": replica.address,
        "phase": replica.phase or None,
        "listed": replica.listed,
        "restarts": replica.restarts,
        "age_s": None if replica.age_s is None else round(replica.age_s, 1),
        "instance": replica.instance or None,
    } | {name: probe.status if probe.asked else None for name, probe in probes.items()}


def _instances(status: Status) -> list[dict[str, Any]]:
    redis = status.redis
    if redis is None:
        return []
    names = {replica.instance: replica.name for replica in status.replicas}
    return [_instance(redis, instance, names.get(instance)) for instance in sorted(status.instances)]


def _instance(redis: InRedis, instance: str, replica: str | None) -> dict[str, Any]:
    keys = redis.keys
    beat, age_s = keys.heartbeats.get(instance), heartbeat_age_s(redis, instance)
    owned: Mapping[str, frozenset[str]] = keys.owned
    return {
        "instance": instance,
        "replica": replica,
        "heartbeat_age_s": None if age_s is None else round(age_s, 1),
        "heartbeat_ttl_s": None if beat is None else life_s(beat.ttl_ms),
        "owned": len(owned.get(instance, ())),
        "websockets": sum(holder == instance for holder in keys.websockets.values()),
    }


def _locks(status: Status) -> list[dict[str, Any]] | None:
    if status.redis is None or not _offers(status, "lock"):
        return None
    locks = sorted(status.redis.keys.locks.items())
    return [{"session": session, "holder": lock.holder, "ttl_s": life_s(lock.ttl_ms)} for session, lock in locks]
