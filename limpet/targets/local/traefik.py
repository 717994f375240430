"""The ingress of the stack: Traefik with a sticky cookie, which lists exactly the servers it is told.

It has no health check, no retry and no access log: what a client sees is the backend's doing, or that of the endpoints.
Which list is in force is read from its API, which listens on a private loopback port.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from limpet.clock import eventually
from limpet.contract import Contract
from limpet.errors import DeadlineError, PartFailedError
from limpet.links.link import HOST
from limpet.targets.local import http, programs
from limpet.targets.local.part import Part
from limpet.targets.local.processes import Command, Processes

THROTTLE = "20ms"  # between two changes; the first one is carried out at once
ANSWER_S = 10.0  # for a pod that is ready to answer through it
NOT_SERVED = (0, 502, 503, 504)  # what it answers in place of a backend
DRAIN = "1s"  # how long a Traefik that is asked to stop lets requests end


class Traefik(Part):
    """One Traefik.

    Attributes:
        api_port: where it tells what it does, on 127.0.0.1.
    """

    def __init__(self, processes: Processes, log: Path, port: int, api_port: int, contract: Contract) -> None:
        super().__init__("ingress", processes, log, port)
        self.api_port = api_port
        self._cookie = contract.ingress.cookie if contract.ingress else ""
        self._program = programs.traefik()
        self._http = contract.http
        self._version = 0
        self._folder = processes.folder / "ingress"
        self._routes = self._folder / "routes" / "routes.yml"

    async def prepare(self) -> None:
        """Write its first file; doing so before it starts is quicker than after."""
        self._routes.parent.mkdir(parents=True)
        self.route([])

    def command(self) -> Command:
        """Everything but the routes is given as options."""
        options = {
            "entryPoints.web.address": f"{HOST}:{self.port}",
            "entryPoints.web.transport.lifeCycle.graceTimeOut": DRAIN,
            "entryPoints.traefik.address": f"{HOST}:{self.api_port}",
            "api.insecure": "true",  # on that entry point, which is on loopback
            "api.dashboard": "false",
            "providers.file.filename": str(self._routes),
            "providers.file.watch": "true",
            "providers.providersThrottleDuration": THROTTLE,
            "global.checkNewVersion": "false",
            "global.sendAnonymousUsage": "false",
            "log.level": "WARN",
            "log.noColor": "true",
        }
        argv = [str(self._program), *(f"--{key}={value}" for key, value in options.items())]
        return Command(self.name, argv, self.log, self._folder)

    async def answers(self) -> bool:
        """Whether it serves by its file."""
        return await self.in_force()

    def route(self, addresses: Sequence[str]) -> None:
        """Have it send clients to these (`host:port`) and no others, from now on."""
        balancer: dict[str, object] = {"servers": [{"url": server_url(address)} for address in addresses]}
        if self._cookie:
            cookie = {"name": self._cookie, "httpOnly": True, "sameSite": "lax", "path": "/"}
            balancer["sticky"] = {"cookie": cookie}
        self._version += 1
        # The only router there is; its priority tells in Traefik's API which version of the file is in force.
        router = {"rule": "PathPrefix(`/`)", "service": "backend", "entryPoints": ["web"], "priority": self._version}
        table = {"http": {"routers": {"backend": router}, "services": {"backend": {"loadBalancer": balancer}}}}
        new = self._folder / "routes.new"  # not in the folder that is watched
        new.write_text(json.dumps(table), encoding="utf-8")  # which is YAML too
        new.replace(self._routes)

    async def in_force(self) -> bool:
        """Whether it serves by what `route` told it last, and not by something older."""
        answer = await http.get(HOST, self.api_port, "/api/http/routers/backend@file", within_s=1.0)
        return answer.status == http.OK and json.loads(answer.body)["priority"] == self._version

    async def await_answer(self, address: str) -> None:
        """Wait until this server answers through the ingress, asked with a cookie that names it.

        Raises:
            PartFailedError: it does not within ANSWER_S seconds.
        """
        path = (self._http.probe or self._http.list).path
        cookie = {"Cookie": f"{self._cookie}={cookie_value(address)}"} if self._cookie else {}

        async def answered() -> bool:
            answer = await http.get(HOST, self.port, path, within_s=5.0, headers=cookie)
            return answer.success if self._http.probe else answer.status not in NOT_SERVED

        try:
            await eventually(answered, within_s=ANSWER_S, what="answer")
        except DeadlineError:
            reason = f"{address} is ready, but does not answer through http://{HOST}:{self.port}{path}"
            raise PartFailedError(self.name, reason, str(self.log)) from None


def server_url(address: str) -> str:
    """How a server is written in the routes; what Traefik makes the cookie from."""
    return f"http://{address}"


def cookie_value(address: str) -> str:
    """The value of the cookie that sticks to a server."""
    return hashlib.sha256(server_url(address).encode()).hexdigest()[:16]
