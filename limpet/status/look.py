"""One look at a running system: Redis, ingress and replicas, each as it stands or why it could not be asked."""

import asyncio
from dataclasses import dataclass

import httpx
from redis.exceptions import RedisError

from limpet.errors import LimpetError
from limpet.status import at_ingress, in_redis, replicas
from limpet.status.at_ingress import AtIngress
from limpet.status.in_redis import InRedis
from limpet.status.place import Place
from limpet.status.replicas import Replica

NO_ADDRESS = "no address was given"


@dataclass(frozen=True, slots=True)
class Status:
    """How a system stands.

    Attributes:
        redis: None when it could not be asked; then `redis_error` says why.
        ingress: None when no address of it is known.
        replicas: those that whoever runs them, or the ingress, knows of.
    """

    place: Place
    redis: InRedis | None
    redis_error: str
    ingress: AtIngress | None
    replicas: tuple[Replica, ...]

    @property
    def redis_asked(self) -> bool:
        """Whether there was an address to ask at."""
        return bool(self.place.redis_url)

    @property
    def instances(self) -> frozenset[str]:
        """All instance ids that were seen anywhere."""
        seen = {replica.instance for replica in self.replicas}
        if self.redis:
            keys = self.redis.keys
            seen |= {*keys.heartbeats, *keys.owned}
        return frozenset(seen - {""})


async def look(place: Place) -> Status:
    """Look once.

    Raises:
        LimpetError: nothing of it answers, so there is nothing to be said about it.
    """
    async with httpx.AsyncClient(timeout=at_ingress.WITHIN_S, trust_env=False) as http:
        (redis, error), ingress = await asyncio.gather(_redis(place), _ingress(http, place))
        services = ingress.services if ingress else None
        seen = await replicas.look(http, place.contract, place.pods, services)
    silent = ingress is None or (ingress.status == 0 and ingress.services is None)
    if redis is None and silent and not any(replica.health.status or replica.ready.status for replica in seen):
        said = [f"Redis at {place.redis_url}: {error}"] if place.redis_url else []
        said += [f"ingress at {place.base_url}: {ingress.error}"] if ingress else []
        raise LimpetError(
            f"nothing answers at {place.what}: {'; '.join(said) or NO_ADDRESS}; give --redis URL and --url URL"
        )
    return Status(place, redis, error, ingress, seen)


async def _redis(place: Place) -> tuple[InRedis | None, str]:
    if not place.redis_url:
        return None, NO_ADDRESS
    async with in_redis.client(place.redis_url) as client:
        try:
            return await in_redis.look(client, place.contract), ""
        except (RedisError, OSError) as error:
            return None, in_redis.unreachable(error)


async def _ingress(http: httpx.AsyncClient, place: Place) -> AtIngress | None:
    if not place.base_url:
        return None
    return await at_ingress.look(http, place.contract, place.base_url.rstrip("/"), place.routes_url)
