"""What a new pod is made of: a name, ports, links to what it depends on, and its command with all of that filled in."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.contract import Contract
from limpet.errors import ContractError, PartFailedError
from limpet.links.link import HOST, Route
from limpet.targets.base import Dependency
from limpet.targets.local import programs
from limpet.targets.local.pod import PodSpec
from limpet.targets.local.ports import Ports
from limpet.targets.local.processes import Command

BACKLOG = 128
PLACEHOLDERS: Mapping[Dependency, tuple[str, ...]] = {
    "redis": ("{redis_host}", "{redis_port}", "{redis_url}"),
    "postgres": ("{postgres_url}",),
}


@dataclass(frozen=True, slots=True)
class PlannedLink:
    """A link that is about to be opened, and the socket that it is to listen on."""

    route: Route
    listener: socket.socket


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A pod that is about to be started, and its links."""

    spec: PodSpec
    links: tuple[PlannedLink, ...]


class Maker:
    """Makes the blueprints of one stack's pods, each with a name and an address that no other one had."""

    def __init__(self, contract: Contract, ports: Ports, logs: Path) -> None:
        if contract.local is None:
            raise ContractError(
                f"contract {contract.path}: no [local] table, so no replica can be started on this machine; "
                'write [local] command = ["./backend"]'
            )
        self._local = contract.local
        self._contract = contract
        self._ports = ports
        self._logs = logs
        self._count = 0

    def needs(self, dependency: Dependency) -> bool:
        """Whether the command or its environment speaks of it."""
        texts = [*self._local.command, *map(str, self._local.env.values())]
        return any(placeholder in text for placeholder in PLACEHOLDERS[dependency] for text in texts)

    def make(self, upstreams: Mapping[Dependency, int]) -> Blueprint:
        """A new pod with a link to each of `upstreams` (dependency -> its port).

        Raises:
            PartFailedError: the command is not there.
        """
        self._count += 1
        name = f"backend-{self._count}"
        source = f"127.64.{self._count >> 8 & 255}.{self._count & 255}" if sys.platform == "linux" else HOST
        folder = self._contract.path.parent.resolve()
        _check_command(name, self._local.command[0], folder)
        port = self._ports.take()
        links = []
        filled = {"python": sys.executable, "host": HOST, "port": str(port), "pod": name}
        for dependency, upstream in upstreams.items():
            listener = socket.create_server((HOST, 0), backlog=BACKLOG)
            filled |= _urls(dependency, listener.getsockname()[1])
            links.append(PlannedLink(Route(name, dependency, upstream, source), listener))
        env = {key: _fill(_text(value), filled) for key, value in self._local.env.items()}
        env = programs.surroundings(self._contract.settings() | env)
        argv = [_fill(word, filled) for word in self._local.command]
        spec = PodSpec(
            name=name,
            host=HOST,
            port=port,
            source=source,
            command=Command(name, argv, self._logs / f"{name}.log", folder, env),
            probe=self._contract.http.probe.path if self._contract.http.probe else None,
            instance_pattern=self._contract.log.instance,
        )
        return Blueprint(spec, tuple(links))


def _urls(dependency: Dependency, port: int) -> dict[str, str]:
    if dependency == "redis":
        return {"redis_host": HOST, "redis_port": str(port), "redis_url": f"redis://{HOST}:{port}/0"}
    return {"postgres_url": f"postgresql://postgres@{HOST}:{port}/postgres"}


def _fill(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_command(pod: str, program: str, folder: Path) -> None:
    program = program.replace("{python}", sys.executable)
    if "/" in program:
        found = os.access(folder / program, os.X_OK)
        where = "as it is written" if Path(program).is_absolute() else f"in {folder}, the contract's folder"
    else:
        found = shutil.which(program) is not None
        where = "on PATH"
    if not found:
        raise PartFailedError(pod, f"no program {program!r} {where}; correct `local.command` in the contract")
