"""The parts that the pods stand on, those of them that a contract needs: started at once, restarted, and watched."""

from collections.abc import Callable
from pathlib import Path

from limpet.contract import Contract
from limpet.errors import UnsupportedError
from limpet.history import History
from limpet.targets.base import Dependency, PartName
from limpet.targets.local.endpoints import Endpoints
from limpet.targets.local.part import Part
from limpet.targets.local.podmaking import Maker
from limpet.targets.local.ports import Ports
from limpet.targets.local.postgres import Postgres
from limpet.targets.local.processes import Processes
from limpet.targets.local.relay import Relay
from limpet.targets.local.traefik import Traefik
from limpet.targets.local.valkey import Valkey


class Parts:
    """The parts of one stack.

    Attributes:
        ingress: always there.
        endpoints: whom it sends clients to.
        relay: there if anything is reached through links.
        upstreams: what the pods depend on, and its port.
    """

    def __init__(
        self,
        processes: Processes,
        ports: Ports,
        logs: Path,
        *,
        contract: Contract,
        maker: Maker,
        history: History,
        port: int,
        listing_changed: Callable[[str], None],
        left_ingress: Callable[[str], None],
    ) -> None:
        self.ingress = Traefik(processes, logs / "traefik.log", port, ports.take(), contract)
        self.endpoints = Endpoints(self.ingress, listing_changed, left_ingress)
        self.upstreams: dict[Dependency, int] = {}
        self._history = history
        self._all: dict[str, Part] = {"ingress": self.ingress}
        if maker.needs("redis"):
            redis = self._all["redis"] = Valkey(processes, logs / "valkey.log", ports.take())
            self.upstreams["redis"] = redis.port
        if maker.needs("postgres"):
            postgres = self._all["postgres"] = Postgres(processes, logs / "postgres.log", ports.take())
            self.upstreams["postgres"] = postgres.port
        self.relay = Relay(processes, logs / "relay.log") if self.upstreams else None
        if self.relay:
            self._all["links"] = self.relay
        for part in self._all.values():
            part.on_death = lambda dead: history.note("part", "died", name=dead.name, why=str(dead.failure))

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(self._all)

    async def start(self, name: str, reached: Callable[[str], None]) -> None:
        """Start one; `reached` is told of its steps. Raises PartFailedError."""
        part = self._all[name]
        await part.prepare()
        reached(f"{name} prepared")
        await part.start()
        reached(f"{name} answers")

    async def restart(self, name: PartName, *, hard: bool) -> None:
        """Stop one and start it again with its data. Raises UnsupportedError when this stack has none."""
        part = self._all.get(name)
        if part is None:
            raise UnsupportedError("restart", f"this contract's command needs no {name}, so none was started")
        self._history.note("part", "stopping", name=name, hard=hard)
        if part is self.ingress:
            self.endpoints.doubt()
        await part.stop(hard=hard)
        self._history.note("part", "stopped", name=name)
        await part.start()
        self._history.note("part", "answers", name=name)
        await self.endpoints.settled()

    def check(self) -> None:
        """Raise PartFailedError when one died by itself."""
        for part in self._all.values():
            part.check()

    async def close(self) -> None:
        """Expect all of them to end from now on."""
        await self.endpoints.close()
        for part in self._all.values():
            part.release()
        if self.relay:
            await self.relay.links.close()
