"""The relay process as a part of the stack: every pod reaches Redis and the database through links of its own."""

import sys
from pathlib import Path

from limpet.links.control import Links
from limpet.targets.base import Admit, Link, Listen, OnLinks, Trace
from limpet.targets.local.part import Part
from limpet.targets.local.processes import Command, Processes


class Relay(Part):
    """The process behind `links`.

    Attributes:
        links: where to open, set and close them.
    """

    def __init__(self, processes: Processes, log: Path) -> None:
        super().__init__("links", processes, log)
        self.links = Links(processes.folder / "links.sock")

    def command(self) -> Command:
        """It is told everything over the links' socket."""
        argv = [sys.executable, "-P", "-m", "limpet.links", str(self.links.path)]
        return Command(self.name, argv, self.log, self._processes.folder)

    async def act(self, action: OnLinks) -> None:
        """Carry out an action on links. Raises LimpetError where the relay process cannot."""
        match action:
            case Link(pod, dependency, switch):
                await self.links.set(pod, dependency, switch)
            case Trace(log):
                await self.links.trace(log)
            case Listen(told):
                self.links.told = told
            case Admit(pod, ticket):
                await self.links.admit(pod, ticket)

    async def answers(self) -> bool:
        """Whether it has connected."""
        return self.links.connected.is_set()
