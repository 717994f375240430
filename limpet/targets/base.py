"""What a target is: a running system under test, seen as a cluster would show it.

`local` (this machine) and `kubernetes` keep the same protocol, so suites and faults do not know which one they have.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from redis.asyncio import Redis

from limpet.contract import Contract
from limpet.links import gate
from limpet.links.switches import Switch

Phase = Literal["pending", "ready", "not ready", "terminating", "exited"]
Dependency = Literal["redis", "postgres"]
PartName = Literal["redis", "postgres", "ingress"]


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica as the target knows it.

    Attributes:
        name: unique for the life of the stack; a replacement has a new one, a restart in place keeps it.
        address: `host:port` where it serves, past the ingress.
        phase: `ready` when its readiness probe passes.
        listed: whether the ingress sends it new clients.
        restarts: how often its process was started again in place.
        started_ns: when its present process was started, by the harness's clock.
        instance: its instance id as its log says, "" while not known.
        pid: of its present process; 0 where that is not of this machine, or while it has none.
    """

    name: str
    address: str
    phase: Phase
    listed: bool
    restarts: int
    started_ns: int
    instance: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a pod: it leaves the endpoints, gets SIGTERM after pre_stop_s, its grace period, then SIGKILL.

    A new one takes its place at once. `grace_s` None is the contract's; 0 kills at once. Returns when the old process
    is gone.
    """

    pod: str
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL the process of a pod; it is restarted in place, with back-off."""

    pod: str


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGSTOP the process of a pod with all its threads."""

    pod: str


@dataclass(frozen=True, slots=True)
class Stall:
    """Stop the main thread of a pod's process and no other, as a blocked event loop would stand still."""

    pod: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused or stalled pod go on."""

    pod: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Have this many replicas; the youngest leave first.

    Returns when the new pods were started and the superfluous ones are gone, not when all are ready.
    """

    replicas: int


@dataclass(frozen=True, slots=True)
class RollOut:
    """Replace all pods one by one, each new one ready before an old one is deleted."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Stop a part (SIGTERM, or SIGKILL if `hard`) and start it again with its data."""

    part: PartName
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Set the link between a pod and what it depends on."""

    pod: str
    dependency: Dependency
    switch: Switch


@dataclass(frozen=True, slots=True)
class Trace:
    """Write each command that passes the links to Redis, with its reply, into a local file (limpet.links.log).

    `log` None: stop; the file is complete when that returns.
    """

    log: Path | None


@dataclass(frozen=True, slots=True)
class Listen:
    """Be told what happens at the gates and holds of links to Redis (limpet.links.gate); `told` None: no longer."""

    told: Callable[[gate.Event], None] | None


@dataclass(frozen=True, slots=True)
class Admit:
    """Let one command that stands at a pod's gate go to Redis."""

    pod: str
    ticket: int


OnLinks = Link | Trace | Listen | Admit
Action = Delete | Kill | Pause | Stall | Resume | Scale | RollOut | Restart | OnLinks


class Target(Protocol):
    """A running system under test.

    Attributes:
        contract: what the backend offers and claims.
        base_url: through the ingress, as a user arrives: `http://127.0.0.1:24601`.
    """

    contract: Contract
    base_url: str

    @property
    def replicas(self) -> int:
        """The declared number of replicas."""
        ...

    def capabilities(self) -> Mapping[str, str]:
        """Name of an action (its class's name in lower case) or ability ("redis", "log", "pods") -> "" or why not."""
        ...

    async def pods(self) -> Sequence[Pod]:
        """All pods, those that are ending too, oldest first."""
        ...

    async def act(self, action: Action) -> None:
        """Carry out an action. Raises UnsupportedError, or LimpetError when it could not be done."""
        ...

    def redis(self) -> Redis:
        """A client of the backend's Redis, past all links; the caller closes it."""
        ...

    async def log(self, pod: str) -> str:
        """All that the pod logged, over all its processes, pods that are gone included."""
        ...
