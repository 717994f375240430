"""How the ingress answers a new client, which servers it sends clients to, and how it makes them stick."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from limpet.contract import Contract

WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the ingress.

    Attributes:
        servers: `host:port`.
        cookie: its sticky cookie's name, "" when clients do not stick.
        attributes: of that cookie, as the ingress was told: "httpOnly", "path=/".
    """

    name: str
    servers: tuple[str, ...]
    cookie: str = ""
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AtIngress:
    """One look.

    Attributes:
        status: of the answer to a new client; 0 when there was none, and then `error` says why.
        cookies: all that the answer set, as they were written.
        listed: how many sessions the answer lists; None when it is no list.
        services: what the ingress itself says; None when it was not, or could not be, asked.
        routes_error: why it could not be.
    """

    status: int
    error: str = ""
    cookies: tuple[str, ...] = ()
    listed: int | None = None
    services: tuple[Service, ...] | None = None
    routes_error: str = ""


async def look(http: httpx.AsyncClient, contract: Contract, base_url: str, routes_url: str) -> AtIngress:
    """Look once; every failure is part of the answer."""
    services, routes_error = await _services(http, routes_url) if routes_url else (None, "")
    try:
        reply = await http.get(base_url + contract.http.list.path)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return AtIngress(0, said(error), services=services, routes_error=routes_error)
    return AtIngress(
        reply.status_code,
        cookies=tuple(reply.headers.get_list("set-cookie")),
        listed=_count(reply),
        services=services,
        routes_error=routes_error,
    )


def said(error: Exception) -> str:
    """An HTTP client's failure in words: some of them have none of their own."""
    return str(error) or type(error).__name__


def _count(reply: httpx.Response) -> int | None:
    try:
        body = reply.json() if reply.is_success else ""
    except ValueError:
        return None
    return len(body or ()) if isinstance(body, list | None) else None


async def _services(http: httpx.AsyncClient, routes_url: str) -> tuple[tuple[Service, ...] | None, str]:
    try:
        reply = await http.get(routes_url)
        table = reply.raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return None, said(error)
    if not isinstance(table, Sequence):
        return None, "it is no list of services"
    balanced = [row for row in table if isinstance(row, dict) and "loadBalancer" in row]
    return tuple(_service(row) for row in balanced), ""


def _service(row: dict[str, Any]) -> Service:
    balancer = row["loadBalancer"]
    urls = [str(server.get("url", "")) for server in balancer.get("servers") or ()]
    cookie = (balancer.get("sticky") or {}).get("cookie") or {}
    attributes = [
        key if value is True else f"{key}={value}"
        for key, value in cookie.items()
        if key != "name" and value not in (False, "", 0)
    ]
    servers = tuple(url.partition("://")[2].rstrip("/") or url for url in urls)
    return Service(str(row.get("name", "")), servers, str(cookie.get("name", "")), tuple(attributes))
