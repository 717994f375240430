"""Bugs by which the loss of a replica is felt by those who have nothing to do with it, or longer than it has to be."""

import contextlib
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from planted.base import plant
from planted.patching import edit, replace
from reference_backend import peers
from reference_backend.answers import error_response
from reference_backend.api.sessions import SessionCalls
from reference_backend.app import App
from reference_backend.errors import unavailable
from reference_backend.redis_access import UNREACHABLE
from reference_backend.replica import Replica
from reference_backend.takeover import Takeover

COLD_S = 3.0
ASK_S = 4.0


@plant(caught_by="availability", unrelated="session-record")
def ready_without_redis() -> None:
    """`/ready` does not ask Redis: a replica that cannot reach it goes on getting requests, and refuses them all."""
    edit(Replica, "_not_ready", "await self._redis.ping()", "pass")


@plant(
    caught_by="availability",
    unrelated="replicas",
    also=("identity", "stickiness", "affinity", "restart-persistence", "scaling", "takeover", "drain"),
)
def ready_before_it_serves() -> None:
    """A replica that is started says that it is ready at once, and then reads all sessions before it answers.

    Where there are none yet nothing is noticed. Whatever has replicas replaced or restarted meets refusals.
    """
    run, call = Replica.run, App.__call__
    cold_until_s = 0.0

    async def run_cold(self: Replica) -> None:
        nonlocal cold_until_s
        with contextlib.suppress(*UNREACHABLE):
            cold_until_s = time.monotonic() + COLD_S if await self.store.ids() else 0.0
        await run(self)

    async def call_if_warm(self: App, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/api/") and time.monotonic() < cold_until_s:
            answer = error_response(unavailable("starting", "sessions are being read"))
            return await answer(scope, receive, send)
        return await call(self, scope, receive, send)

    replace(Replica, "run", run_cold)
    replace(App, "__call__", call_if_warm)


@plant(
    caught_by="availability",
    unrelated="history",
    also=("identity", "affinity", "restart-persistence", "heartbeat", "continuity", "takeover"),
)
def death_blocks_the_living() -> None:
    """Whoever notices that a peer died asks it once more what it had, and its event loop waits for the time-out.

    For these seconds it serves nobody, its heartbeat included.
    """
    wait = f"__import__('time').sleep({ASK_S})"
    edit(Takeover, "died", "self._died.add(instance)", f"{wait}\n    self._died.add(instance)")


@plant(caught_by="availability", unrelated="stickiness", also=("heartbeat", "takeover", "continuity"))
def list_asks_every_replica() -> None:
    """The list of all sessions is gathered from all replicas: one that is silent keeps everybody waiting."""
    list_ = SessionCalls.list

    async def gathered(self: SessionCalls, request: Request) -> Response:
        for member in await self._lifecycle._membership.alive():
            with contextlib.suppress(peers.PeerError):
                await peers.call("GET", f"{member.address}/internal/status", within_s=ASK_S)
        return await list_(self, request)

    replace(SessionCalls, "list", gathered)
