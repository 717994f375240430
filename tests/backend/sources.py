"""Sessions for sources without a service, and the kubectl that tests put on the PATH."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil

from limpet.clock import eventually
from reference_backend.session import NS_PER_S, Session, rfc3339
from reference_backend.sources import SOURCES
from reference_backend.sources.base import Source
from reference_backend.sources.kubectl import Kubectl

KUBECTL = Path(__file__).parents[1] / "reference_backend" / "kubectl"
WITHIN_S = 10.0


def session(gadget: str, source: str, namespace: str = "demo", **changes: Any) -> Session:
    """A session as a create would make it."""
    parameters = {p.name: p.default for p in SOURCES[source].gadgets[gadget].parameters}
    made = Session(
        id="00000000-0000-0000-0000-000000000001",
        type=gadget,
        namespace=namespace,
        podName="",
        containerName="",
        labels={},
        status="running",
        startTime=rfc3339(time.time()),
        timeout=600 * NS_PER_S,
        owner="me",
        epoch=1,
        revision=1,
        source=source,
        rate=10.0,
        size=0,
        parameters=parameters | changes.pop("parameters", {}),
    )
    return msgspec.structs.replace(made, **changes)


def recorded(name: str) -> list[Any]:
    """What the fake kubectl writes, line by line."""
    return [json.loads(line) for line in (KUBECTL / "recorded" / f"{name}.jsonl").read_text().splitlines()]


class Run:
    """A source that runs until the test has seen enough."""

    def __init__(self, source: Source) -> None:
        self.events: list[Any] = []
        self.task = asyncio.create_task(source.run(lambda data: self.events.append(json.loads(data))))

    async def seen(self, count: int) -> list[Any]:
        """Wait for so many events, and give all that there are."""

        async def so_many() -> bool:
            if self.task.done():
                self.task.result()
            return len(self.events) >= count

        await eventually(so_many, within_s=WITHIN_S, what=f"{count} events")
        return self.events

    async def ended(self) -> list[Any]:
        """Wait for its end by itself, and raise what it ended with."""
        async with asyncio.timeout(WITHIN_S):
            await self.task
        return self.events

    async def stop(self) -> None:
        """As the runner does when a session ends."""
        self.task.cancel()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.wait([self.task])
        assert self.task.cancelled()


@dataclass(frozen=True, slots=True)
class FakeKubectl:
    """The processes of the fake kubectl, as they noted themselves in the folder `notes`."""

    notes: Path

    def run(self, gadget: str, how: str, **limits: float) -> Run:
        """Run a gadget; `how` is the namespace by which the fake is told how to behave."""
        return Run(Kubectl(session(gadget, "kubectl", how), **limits))

    def runs(self) -> list[dict[str, Any]]:
        """pid, args and env of each, in the order of their pids."""
        return sorted((json.loads(path.read_text()) for path in self.notes.glob("*.json")), key=lambda one: one["pid"])

    def alive(self) -> list[int]:
        """Those that still run."""
        return [one["pid"] for one in self.runs() if _runs(one["pid"])]

    async def count(self, processes: int) -> None:
        """Wait until so many run."""

        async def so_many() -> bool:
            return len(self.alive()) == processes

        await eventually(so_many, within_s=WITHIN_S, what=f"{processes} processes of kubectl run")


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
