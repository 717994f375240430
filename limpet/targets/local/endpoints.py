"""Which pods the ingress sends clients to: the endpoints controller of the local target.

Who is not ready leaves the ingress's file at once and counts as unlisted from then on. Who got ready is written into it
at once too, and counts as listed when the ingress, asked, says so: reading its file takes it up to 0.2 s. When it says
that it has left out who was unlisted is told too.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from limpet.clock import eventually, sleep
from limpet.errors import DeadlineError
from limpet.targets.local.part import START_S
from limpet.targets.local.traefik import Traefik

ASK_EVERY_S = 0.02
OBEYED_WITHIN_S = 2.0


class Endpoints:
    """The list of one stack.

    Attributes:
        listed: addresses (`host:port`) that the ingress sends clients to.
    """

    def __init__(self, ingress: Traefik, changed: Callable[[str], None], left: Callable[[str], None]) -> None:
        """`changed` is told each address that gets listed or unlisted, `left` each that the ingress has left out."""
        self.listed: set[str] = set()
        self._leaving: set[str] = set()
        self._left = left
        self._ingress = ingress
        self._changed = changed
        self._wanted: list[str] = []
        self._asking: asyncio.Task[None] | None = None

    def send_to(self, addresses: Sequence[str]) -> None:
        """Send clients to these and no others."""
        if list(addresses) == self._wanted:
            return
        self._wanted = list(addresses)
        self._ingress.route(addresses)
        self._unlist(self.listed - set(addresses))
        self._ask()

    def doubt(self) -> None:
        """The ingress ends: nobody is listed until it says so again."""
        self._unlist(set(self.listed))
        self._ask()

    async def settled(self) -> None:
        """Wait until all that are to be listed are. Raises DeadlineError."""

        async def all_listed() -> bool:
            self._ingress.check()
            return self.listed == set(self._wanted)

        await eventually(all_listed, within_s=START_S, what=f"the ingress lists {self._wanted}", every_s=0.005)

    async def obeyed(self) -> None:
        """Wait until the ingress goes by what it was told last; not longer than `OBEYED_WITHIN_S`."""
        with suppress(DeadlineError):
            await eventually(self._ingress.in_force, within_s=OBEYED_WITHIN_S, what="the ingress's new list")

    async def close(self) -> None:
        """Ask no more."""
        if self._asking:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    def _unlist(self, addresses: set[str]) -> None:
        self.listed -= addresses
        self._leaving |= addresses
        for address in addresses:
            self._changed(address)

    def _ask(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_on())

    async def _ask_on(self) -> None:
        while self._leaving or set(self._wanted) - self.listed:
            if await self._ingress.in_force():
                leaving, self._leaving = self._leaving - set(self._wanted), set()
                for address in leaving:
                    self._left(address)
                new = [address for address in self._wanted if address not in self.listed]
                self.listed.update(new)
                for address in new:
                    self._changed(address)
            else:
                await sleep(ASK_EVERY_S)
