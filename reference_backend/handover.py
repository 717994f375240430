"""Giving sessions to a peer while nothing is wrong: the gadget stops here and goes on there, and nothing is missed.

Under the session's lock the gadget is stopped and all that it observed gets into the stream; one commit makes the peer
the owner and says where it is to go on; then the peer is told. Whatever breaks in between, the record says who has to
run the session and from where: a peer that was not reached finds it in its owned set, and one that died leaves it to
whoever takes over from it.
"""

import logging
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from reference_backend import peers
from reference_backend.adoption import left_by, owner_change
from reference_backend.batches import SIZE, Batches, Standing
from reference_backend.membership import Membership
from reference_backend.runner import Halted, Runner
from reference_backend.session import Session
from reference_backend.settings import Settings
from reference_backend.store import Change

log = logging.getLogger(__name__)

CANNOT = "handed over to another replica"
ADOPT_WITHIN_S = 5.0


class Handover:
    """Gives sessions of this replica to others."""

    def __init__(self, batches: Batches, runner: Runner, membership: Membership, settings: Settings) -> None:
        self._batches = batches
        self._runner = runner
        self._membership = membership
        self._flush_s = settings.owner_stop_wait_s
        self.handed_over = 0
        self.interruptions = 0

    async def give(self, ids: Sequence[str], to: str) -> list[str]:
        """Make the replica `to` the owner of those of these sessions that are this replica's; gives those it is of now.

        Sessions that somebody else works on are left out. Raises what Redis raises.
        """
        given: list[str] = []
        address = await self._membership.address_of(to)
        for start in range(0, len(ids) if address else 0, SIZE):
            part = await self._give(ids[start : start + SIZE], to)
            given += part
            if part and not await self.tell(address, part):
                break
        return given

    async def tell(self, address: str, ids: Sequence[str]) -> bool:
        """Tell the owner of sessions, which has this address, that they are its. False: it does not answer."""
        try:
            await peers.call(
                "POST", f"{address}/internal/sessions/adopt", within_s=ADOPT_WITHIN_S, body={"sessions": ids}
            )
        except peers.PeerError as error:
            log.warning("%d sessions have a new owner that does not answer: %s", len(ids), error)
            return False
        return True

    async def _give(self, ids: Sequence[str], to: str) -> list[str]:
        async with self._batches.hold(ids) as batch:
            ours = {i: session for i, s in batch.standing.items() if (session := self._ours(s))}
            halted = await self._runner.halt(ours, self._flush_s)
            # What still runs has come to its end by itself.
            idle = {i: session for i, session in ours.items() if not self._runner.runs(i)}
            changes = {i: _change(session, batch.standing[i], to, halted.get(i)) for i, session in idle.items()}
            given: list[str] = []
            try:
                outcomes = await batch.commit(changes)
                given = [i for i, outcome in outcomes.items() if outcome == "ok"]
            finally:
                self._go_on({i: session for i, session in idle.items() if i not in given}, halted)
        self.handed_over += len(given)
        self.interruptions += sum(changes[i].lost is not None for i in given)
        return given

    def _ours(self, standing: Standing) -> Session | None:
        if standing.look.stored is None:
            return None
        session = standing.look.stored.session
        mine = session.owner == self._membership.instance and session.status == "running"
        return session if mine and not self._runner.waits(session.id) else None

    def _go_on(self, refused: Mapping[str, Session], halted: Mapping[str, Halted]) -> None:
        """Run here what was not taken, from where it was stopped. If Redis thinks otherwise it will refuse the events.

        What cannot go on from there is found by the next look at what does not run here and should.
        """
        for i, session in refused.items():
            stopped = halted.get(i)
            if stopped and stopped.left and stopped.epoch == session.epoch:
                self._runner.start(session, stopped.left)
                self._runner.release(i)


def _change(now: Session, standing: Standing, to: str, halted: Halted | None) -> Change:
    assert standing.look.stored is not None
    left = left_by(now, standing.seq)
    if halted is not None:
        left = halted.left if halted.epoch == now.epoch else None
    after = replace(now, owner=to, epoch=standing.look.next_epoch, revision=now.revision + 1, handedOver=left)
    return owner_change(standing.look.stored, after, None if left else CANNOT)
