"""Who runs what: the parts of a replica that move sessions between replicas, put together.

takeover - adoption --+-- batches (locks, store)
drain, balance, migration - handover --+
peer_links: who died, who has how much to do
"""

from collections.abc import Callable

from redis.asyncio import Redis

from reference_backend.adoption import Adoption
from reference_backend.balance import Balance
from reference_backend.batches import Batches
from reference_backend.drain import Drain
from reference_backend.handover import Handover
from reference_backend.locks import Locks
from reference_backend.membership import Membership
from reference_backend.metrics import Metric
from reference_backend.migration import Migration
from reference_backend.peer_links import PeerLinks, Told
from reference_backend.runner import Runner
from reference_backend.sections import Sections
from reference_backend.settings import Settings
from reference_backend.stopping import Stopping
from reference_backend.store import Store
from reference_backend.takeover import Takeover


class Ownership:
    """The parts, wired.

    Attributes:
        gone: this replica ends now; its peers are told so that none takes it for dead.
    """

    def __init__(
        self,
        redis: Redis,
        store: Store,
        locks: Locks,
        sections: Sections,
        runner: Runner,
        *,
        stopping: Stopping,
        membership: Membership,
        settings: Settings,
        on_appended: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._sources = settings.source_names
        batches = Batches(redis, store, locks)
        self.links = PeerLinks(membership.instance)
        self.adoption = Adoption(
            batches,
            sections,
            runner,
            stopping=stopping,
            membership=membership,
            settings=settings,
            on_appended=on_appended,
        )
        self.takeover = Takeover(
            redis, store, self.adoption, runner, membership=membership, links=self.links, settings=settings
        )
        self.handover = Handover(batches, runner, membership, settings)
        self.balance = Balance(self.links, self.handover, runner, membership)
        self.migration = Migration(
            store, self.handover, self.balance, links=self.links, membership=membership, settings=settings
        )
        self._drain = Drain(store, self.handover, self.balance, runner, membership=membership, links=self.links)
        self.gone = False
        runner.on_not_restarted = self.adoption.not_restarted
        self.links.on_dead = self.takeover.died
        self.links.on_peer = self.takeover.look_soon

    def told(self) -> Told:
        """What peers are told of this replica."""
        return Told(self._runner.count, self._sources, self.balance.leaving, self.gone)

    async def placed(self, session_id: str, owner: str) -> None:
        """Tell a peer of a new session that is its."""
        address = self.balance.address(owner)
        if address:  # else its owner finds it by itself
            await self.handover.tell(address, [session_id])

    async def leave(self, within_s: float) -> None:
        """Take nothing more, and give all sessions to peers, as far as there are any and within this time."""
        self.takeover.closing = self.balance.leaving = True
        await self._drain.give_all(within_s)

    async def close(self) -> None:
        """Stop what is under way."""
        await self.takeover.close()
        await self.links.close()

    def metrics(self) -> list[Metric]:
        """What was counted."""
        return [
            Metric("adoptions", "counter", "sessions taken over", lambda: self.adoption.adopted),
            Metric("sessions_received", "counter", "sessions that a peer gave", lambda: self.adoption.taken_up),
            Metric("sessions_handed_over", "counter", "sessions given to a peer", lambda: self.handover.handed_over),
            Metric(
                "interruptions",
                "counter",
                "interruptions announced at a change of owner",
                lambda: self.adoption.interruptions + self.handover.interruptions,
            ),
            Metric("false_alarms", "counter", "replicas taken for dead that lived", lambda: self.links.false_alarms),
        ]
