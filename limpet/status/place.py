"""Where the running system stands that is looked at: a stack of `limpet up`, or addresses that a user gives.

`limpet up` writes stack.json into its run directory whenever a pod changed, and holds a lock beside it for as long as
it lives, so that a stack whose owner was killed is not taken for a running one.
"""

import fcntl
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from limpet import contract as contracts
from limpet.contract import Contract
from limpet.errors import LimpetError
from limpet.report.store import replace
from limpet.runner import CONTRACT_COPY
from limpet.targets.base import Pod

STACK_FILE = "stack.json"
LOCK_FILE = "stack.lock"
RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Place:
    """A running system.

    Attributes:
        what: how to call it: the run directory, or "the given addresses".
        base_url: of the ingress; "" when not known, as with the other two.
        redis_url: past all links.
        routes_url: where the ingress tells its services (Traefik's API).
        pods: as whoever runs them sees them; None where nobody tells.
    """

    what: str
    contract: Contract
    base_url: str = ""
    redis_url: str = ""
    routes_url: str = ""
    pods: tuple[Pod, ...] | None = None


class _Stack(msgspec.Struct, forbid_unknown_fields=True):
    """stack.json."""

    pid: int
    contract: str
    replicas: int
    addresses: dict[str, str]
    pods: list[Pod]


class StackFile:
    """stack.json of a stack that this process runs. Raises LimpetError when the run directory cannot be written."""

    def __init__(self, directory: Path, contract: Contract) -> None:
        self._path = directory / STACK_FILE
        self._contract = contract
        self._written: _Stack | None = None
        replace(directory / CONTRACT_COPY, contract.path.read_text(encoding="utf-8"))
        self._lock: IO[str] = (directory / LOCK_FILE).open("w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def keep(self, replicas: int, addresses: Mapping[str, str], pods: Sequence[Pod]) -> None:
        """Write it anew if anything of it has changed."""
        now = _Stack(os.getpid(), self._contract.name, replicas, dict(addresses), list(pods))
        if now != self._written:
            replace(self._path, msgspec.json.format(msgspec.json.encode(now)).decode() + "\n")
            self._written = now

    def close(self) -> None:
        """The stack is gone: remove the file."""
        self._path.unlink(missing_ok=True)
        self._lock.close()


def of_run(directory: Path, contract: Contract | None = None) -> Place:
    """The stack that `limpet up` runs with this run directory, by the contract kept there or another `contract`.

    Raises:
        LimpetError: there is none, or its owner is gone.
    """
    path = directory / STACK_FILE
    try:
        stack = msgspec.json.decode(path.read_bytes(), type=_Stack)
    except OSError as error:
        raise LimpetError(
            f"no stack runs in {directory}: {path.name}: {error.strerror}; start one: limpet up"
        ) from error
    except msgspec.MsgspecError as error:
        raise LimpetError(f"{path} is damaged: {error}") from error
    if not _held(directory / LOCK_FILE):
        raise LimpetError(
            f"the stack of {directory} has ended: its owner, process {stack.pid}, is gone; start one: limpet up"
        )
    return Place(
        what=str(directory),
        contract=contract or contracts.load(directory / CONTRACT_COPY),
        base_url=stack.addresses.get("ingress", ""),
        redis_url=stack.addresses.get("redis", ""),
        routes_url=stack.addresses.get("routes", ""),
        pods=tuple(stack.pods),
    )


def newest(runs: Path = RUNS) -> Path:
    """The run directory of the newest stack that is alive.

    Raises:
        LimpetError: there is none.
    """
    alive = [path.parent for path in runs.glob(f"*/{STACK_FILE}") if _held(path.with_name(LOCK_FILE))]
    if not alive:
        raise LimpetError(
            f"no stack of `limpet up` runs in {runs}/; start one, or say where the system is: "
            "--redis URL --url URL --contract FILE"
        )
    return max(alive, key=lambda directory: ((directory / LOCK_FILE).stat().st_mtime_ns, directory.name))


def _held(lock: Path) -> bool:
    try:
        with lock.open(encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
