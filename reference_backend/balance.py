"""Which replica gets which session, so that all have as much to do: new ones, and those of a replica that leaves.

A replica's work is the number of gadgets that run in it, as it tells its peers. A new session stays where it was asked
for unless a peer has noticeably less to do: a difference of one or two is not worth the way.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reference_backend import peers
from reference_backend.handover import Handover
from reference_backend.membership import Membership
from reference_backend.peer_links import PeerLinks
from reference_backend.runner import Runner
from reference_backend.session import Session

log = logging.getLogger(__name__)

DIFFERENCE, DIFFERENCE_SHARE = 1, 0.05
GIVE_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Moved:
    """A session that got another owner."""

    sessionId: str  # noqa: N815 - names of the JSON
    source: str
    target: str


class Balance:
    """Decides for this replica.

    Attributes:
        leaving: this replica takes nothing any more.
    """

    def __init__(self, links: PeerLinks, handover: Handover, runner: Runner, membership: Membership) -> None:
        self._links = links
        self._handover = handover
        self._runner = runner
        self._membership = membership
        self.leaving = False

    def place(self, source: str) -> str | None:
        """The instance that gets a new session; None: this replica leaves, and there is no other."""
        able = [peer for peer in self._links.able if source in peer.told.sources]
        least = min(able, key=lambda peer: (peer.work, peer.member.instance), default=None)
        own = self._runner.count
        if least is None or (not self.leaving and own <= least.work + DIFFERENCE + own * DIFFERENCE_SHARE):
            return None if self.leaving else self._membership.instance
        least.given += 1
        return least.member.instance

    def address(self, instance: str) -> str:
        """Where a peer is reached; "" if it is not connected."""
        return next((peer.member.address for peer in self._links.able if peer.member.instance == instance), "")

    def spread(self, sessions: Sequence[Session]) -> dict[str, list[str]]:
        """Peers that are to get sessions of this replica, each with their ids; what none can run is left out."""
        plan: dict[str, list[str]] = defaultdict(list)
        work = {peer.member.instance: peer.work for peer in self._links.able}
        sources = {peer.member.instance: peer.told.sources for peer in self._links.able}
        for session in sessions:
            able = [instance for instance in work if session.source in sources[instance]]
            if able:
                least = min(able, key=lambda instance: (work[instance], instance))
                plan[least].append(session.id)
                work[least] += 1
        return plan

    def choose(self, count: int, to: str) -> list[str]:
        """So many sessions of this replica that a peer can run."""
        peer = next((peer for peer in self._links.able if peer.member.instance == to), None)
        fit = [s.id for s in self._runner.sessions() if peer is None or s.source in peer.told.sources]
        return fit[:count]

    async def rebalance(self) -> list[Moved]:
        """Even out the sessions of all live replicas that stay, moving as few as possible. Raises what Redis raises."""
        members = [m for m in await self._membership.alive() if not self._leaves(m.instance)]
        owned = await asyncio.gather(*(self._membership.owned_by(m.instance) for m in members))
        counts = {m.instance: len(ids) for m, ids in zip(members, owned, strict=True)}
        addresses = {m.instance: m.address for m in members}
        moved: list[Moved] = []
        for source, target, count in moves(counts):
            given = await self._ask(source, addresses[source], target, count)
            moved += [Moved(session_id, source, target) for session_id in given]
        return moved

    def _leaves(self, instance: str) -> bool:
        return self.leaving if instance == self._membership.instance else self._links.draining(instance)

    async def _ask(self, source: str, address: str, target: str, count: int) -> list[str]:
        if source == self._membership.instance:
            return await self._handover.give(self.choose(count, target), target)
        try:
            return await ask_to_give(address, target, count=count)
        except peers.PeerError as error:
            log.warning("Rebalancing: %s", error)
            return []


def moves(counts: dict[str, int]) -> list[tuple[str, str, int]]:
    """(from, to, how many) so that no two differ by more than one; the fewest moves that do it."""
    if not counts:
        return []
    share, over = divmod(sum(counts.values()), len(counts))
    by_work = sorted(counts, key=lambda instance: (-counts[instance], instance))
    wanted = {instance: share + (n < over) for n, instance in enumerate(by_work)}
    gives = [instance for instance in by_work for _ in range(counts[instance] - wanted[instance])]
    takes = [instance for instance in by_work for _ in range(wanted[instance] - counts[instance])]
    return [(giver, taker, count) for (giver, taker), count in Counter(zip(gives, takes, strict=True)).items()]


async def ask_to_give(address: str, to: str, *, sessions: Sequence[str] = (), count: int = 0) -> list[str]:
    """Have another replica give sessions of its own, or so many of its choice, to a third; gives those it gave.

    Raises:
        PeerError: it did not answer; it may have done so or not.
    """
    body = {"to": to, "sessions": list(sessions), "count": count}
    status, given = await peers.call("POST", f"{address}/internal/sessions/give", within_s=GIVE_WITHIN_S, body=body)
    if status != 200:  # noqa: PLR2004 - HTTP's
        raise peers.PeerError(f"{address} does not give sessions: {status}")
    return list(given)
