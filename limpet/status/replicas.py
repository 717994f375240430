"""The replicas, each asked for itself, past the ingress."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from limpet.clock import NS_PER_S, now_ns
from limpet.contract import Contract, Endpoint
from limpet.status.at_ingress import Service, said
from limpet.targets.base import Pod

WITHIN_S = 2.0
TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class Probe:
    """What came back; status 0 is nothing, and `text` says why. `asked` is "" when the contract has no such call."""

    asked: str = ""
    status: int = 0
    text: str = ""

    @property
    def good(self) -> bool:
        """Whether the answer was a success."""
        return httpx.codes.is_success(self.status)


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica.

    Attributes:
        name: of its pod; its address where only the ingress knows it.
        phase: as whoever runs it says; "" when nobody does.
        listed: whether the ingress has it as a server; None when not known.
        instance: its id, as its log or its answers say; "" when neither does.
        health, ready: how it answers these calls by itself.
    """

    name: str
    address: str
    phase: str = ""
    listed: bool | None = None
    restarts: int | None = None
    age_s: float | None = None
    instance: str = ""
    health: Probe = Probe()
    ready: Probe = Probe()


async def look(
    http: httpx.AsyncClient, contract: Contract, pods: Sequence[Pod] | None, services: Sequence[Service] | None
) -> tuple[Replica, ...]:
    """Ask each replica that whoever runs them, or else the ingress, knows of."""
    servers = {server for service in services or () for server in service.servers}
    if pods is not None:
        listed = {pod.name: pod.address in servers if services is not None else pod.listed for pod in pods}
        known = [
            Replica(
                pod.name,
                pod.address,
                pod.phase,
                listed[pod.name],
                pod.restarts,
                (now_ns() - pod.started_ns) / NS_PER_S,
                pod.instance,
            )
            for pod in pods
        ]
    else:
        known = [Replica(server, server, listed=True) for server in sorted(servers)]
    return tuple(await asyncio.gather(*(_asked(http, contract, replica) for replica in known)))


async def _asked(http: httpx.AsyncClient, contract: Contract, replica: Replica) -> Replica:
    (health, first), (ready, second) = await asyncio.gather(
        *(_probe(http, contract, replica.address, call) for call in (contract.http.health, contract.http.ready))
    )
    return Replica(
        replica.name,
        replica.address,
        replica.phase,
        replica.listed,
        replica.restarts,
        replica.age_s,
        replica.instance or first or second,
        health,
        ready,
    )


async def _probe(http: httpx.AsyncClient, contract: Contract, address: str, call: Endpoint | None) -> tuple[Probe, str]:
    """The answer, and the instance id that it carries."""
    if call is None:
        return Probe(), ""
    asked = f"{call.method} {call.path}"
    try:
        reply = await http.request(call.method, f"http://{address}{call.path}", timeout=WITHIN_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Probe(asked, 0, said(error)), ""
    header = contract.http.instance_header
    instance = reply.headers.get(header, "") if header else ""
    return Probe(asked, reply.status_code, " ".join(reply.text.split())[:TEXT_MAX]), instance
