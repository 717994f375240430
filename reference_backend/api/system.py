"""The calls on the service itself: its health, its replicas, what it offers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_backend import metrics, peers
from reference_backend.answers import json_response
from reference_backend.balance import Balance
from reference_backend.catalogue import GADGETS
from reference_backend.membership import Member, Membership
from reference_backend.metrics import Metric
from reference_backend.settings import Settings
from reference_backend.sources import SOURCES

NAMESPACES = ("default", "demo", "kube-system")


class SystemCalls:
    """`readiness` gives "" or why this replica cannot serve; `status` what runs in it."""

    def __init__(
        self,
        membership: Membership,
        settings: Settings,
        figures: list[Metric],
        readiness: Callable[[], Awaitable[str]],
        status: Callable[[], dict[str, Any]],
        *,
        balance: Balance,
    ) -> None:
        self._membership = membership
        self._settings = settings
        self._figures = figures
        self._readiness = readiness
        self._status = status
        self._balance = balance

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/ready", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/api/gadgets", self.gadgets, methods=["GET"]),
            Route("/api/namespaces", self.namespaces, methods=["GET"]),
            Route("/api/instances", self.instances, methods=["GET"]),
            Route("/api/instances/rebalance", self.rebalance, methods=["POST"]),
            Route("/internal/status", self.status, methods=["GET"]),
        ]

    async def health(self, _request: Request) -> Response:
        """That this is answered is the answer."""
        return json_response({"status": "ok", "instance": self._membership.instance})

    async def ready(self, _request: Request) -> Response:
        """200, or 503 and why not."""
        reason = await self._readiness()
        content = {"status": "not ready" if reason else "ready", "reason": reason or None}
        return json_response(content, 503 if reason else 200)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        rendered = metrics.render(self._figures, self._membership.instance)
        return Response(rendered, media_type=metrics.CONTENT_TYPE)

    async def gadgets(self, _request: Request) -> Response:
        """The catalogue, and for each gadget the sources that can be selected."""
        enabled = self._settings.source_names
        return json_response(
            [
                gadget.shown() | {"sources": [name for name in enabled if gadget.type in SOURCES[name].gadgets]}
                for gadget in GADGETS.values()
            ]
        )

    async def namespaces(self, _request: Request) -> Response:
        """Where gadgets can be pointed."""
        return json_response(NAMESPACES)

    async def instances(self, _request: Request) -> Response:
        """All live replicas, each as it says itself."""
        members = await self._membership.alive()
        said = await asyncio.gather(*(self._ask(member) for member in members))
        return json_response(
            [
                {"instance": member.instance, "address": member.address, "lastHeartbeat": member.heartbeat_s} | status
                for member, status in zip(members, said, strict=True)
            ]
        )

    async def rebalance(self, _request: Request) -> Response:
        """What was moved so that all replicas have as much to do."""
        return json_response({"moved": await self._balance.rebalance()})

    async def status(self, _request: Request) -> Response:
        """What runs in this replica, for its peers."""
        return json_response(self._status())

    async def _ask(self, member: Member) -> dict[str, Any]:
        owned = await self._membership.owned_by(member.instance)
        if member.instance == self._membership.instance:
            return {"reachable": True, "ownedSessions": owned} | self._status()
        status: dict[str, Any]
        try:
            _, status = await peers.call(
                "GET", f"{member.address}/internal/status", within_s=self._settings.peer_wait_s
            )
        except peers.PeerError as error:
            return {"reachable": False, "reason": str(error), "ownedSessions": owned}
        return {"reachable": True, "ownedSessions": owned} | status
