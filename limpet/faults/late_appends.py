"""A replica dies while what it appended last is still on its way to Redis, and arrives when others own its sessions.

So a network may do it that keeps a packet back. The link of the replica holds its appends, the replica is killed, and
once its sessions have other owners the link passes: now the dead one writes, and an epoch that is old must refuse it.
"""

import glob
from contextlib import suppress

from limpet.clients.redis_keys import Looker
from limpet.clock import eventually, sleep
from limpet.contract import Contract
from limpet.errors import DeadlineError, UnsupportedError
from limpet.faults.pods import KillPod
from limpet.history import History
from limpet.links.switches import Hold, Switch
from limpet.targets.base import Link, Pod, Target

HELD_S = 0.3  # in which every source that speaks at all has something to append
ADOPTED_WITHIN_S = 20.0  # where only the lease tells of a death
ARRIVED_S = 0.2


class KillWithAppendsUnderWay(KillPod):
    """SIGKILL of one pod, whose last appends reach Redis after its sessions have new owners."""

    name = "pod kill, its appends late"

    def __init__(self, victim: Pod, contract: Contract, looker: Looker, history: History) -> None:
        """`looker` tells when its sessions have other owners; `history` is told how the link is set."""
        super().__init__(victim)
        self._victim = victim
        self._pattern = glob.escape(contract.redis.events or "").replace("{id}", "*")
        self._looker = looker
        self._history = history
        self._held = False

    async def inject(self, target: Target) -> None:
        """Hold its appends for a while, then kill it."""
        await self._set(target, Hold((self._pattern,)))
        self._held = True
        await sleep(HELD_S)
        await super().inject(target)

    async def await_effect(self, target: Target) -> None:
        """Its process is gone and nothing is owned by it; then what was held arrives."""
        await super().await_effect(target)

        async def adopted() -> bool:
            return self._victim.instance not in await self._looker.owners("after a kill")

        with suppress(DeadlineError):  # whoever judges finds its sessions still there
            await eventually(adopted, within_s=ADOPTED_WITHIN_S, what="other owners")
        await self.heal(target)
        await sleep(ARRIVED_S)

    async def heal(self, target: Target) -> None:
        """Let everything pass."""
        if self._held:
            self._held = False
            await self._set(target, "pass")

    async def _set(self, target: Target, switch: Switch) -> None:
        pod = self._victim.name
        self._history.note("link", switch if isinstance(switch, str) else type(switch).__name__, pod=pod)
        with suppress(UnsupportedError):  # then it is a kill and no more
            await target.act(Link(pod, "redis", switch))
