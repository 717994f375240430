"""Becoming the owner of sessions whose gadgets run nowhere, and starting them here.

A session is taken over in one commit: another owner, a larger epoch, and the announcement of what nobody observed. Who
commits first has it; whoever comes second finds another owner and leaves it alone. A session that its last owner handed
over needs no announcement as long as its stream stands where that owner left it: its source goes on from there.

Where Redis may have lost the end of the stream, another stream begins: going on in the old one would give numbers that
somebody has seen already to other messages.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from msgspec.structs import replace

from reference_backend import messages
from reference_backend.batches import SIZE, Batches, Standing
from reference_backend.locks import Hold
from reference_backend.membership import Membership
from reference_backend.runner import Runner
from reference_backend.sections import Decide, Sections
from reference_backend.session import HandedOver, Session, Stored
from reference_backend.settings import Settings
from reference_backend.sources import SOURCES
from reference_backend.stopping import Stopping
from reference_backend.store import Change, Look

log = logging.getLogger(__name__)

OWNER_LOST = "owner lost"
RETRY_S = 60.0  # before a gadget that could not be started again is tried here once more; then twice as long each time
RETRY_DOUBLINGS_MAX = 5


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of sessions: `here` they run now; `busy` ones were locked by somebody else, to be tried again."""

    here: Sequence[str]
    busy: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be committed, if anything, and what is to be started then."""

    change: Change | None = None
    start: Session | None = None


class Adoption:
    """Takes over sessions for this replica."""

    def __init__(
        self,
        batches: Batches,
        sections: Sections,
        runner: Runner,
        *,
        stopping: Stopping,
        membership: Membership,
        settings: Settings,
        on_appended: Callable[[str], None],
    ) -> None:
        self._batches = batches
        self._sections = sections
        self._runner = runner
        self._stopping = stopping
        self._membership = membership
        self._sources = settings.source_names
        self._on_appended = on_appended
        self._failed: dict[str, tuple[int, float]] = {}
        self.adopted = 0
        self.taken_up = 0
        self.interruptions = 0
        self.new_streams = 0

    def can_run(self, session: Session) -> bool:
        """Whether this session's gadget may be tried here."""
        _, not_before_s = self._failed.get(session.id, (0, 0.0))
        return session.source in self._sources and time.monotonic() >= not_before_s

    async def adopt(
        self,
        ids: Sequence[str],
        *,
        dead: Collection[str] = (),
        hopeless: Callable[[Session], bool] = lambda _: False,
        reason: str = OWNER_LOST,
        known: Mapping[str, int] = MappingProxyType({}),
    ) -> Adopted:
        """Take over those of these sessions that run nowhere: without an owner, or this replica's own.

        `dead` are owners that are gone whatever their heartbeats say. What cannot be run here is left to others, or
        written down as orphaned if it is `hopeless`. `known`: how far streams went for certain. Raises what Redis
        raises; what was taken over by then stays so.
        """
        here: list[str] = []
        busy: list[str] = []
        promoted_s = await self._batches.promoted_s() if ids else 0.0
        for start in range(0, len(ids), SIZE):
            if not self._membership.lease_good:
                break
            part = ids[start : start + SIZE]
            async with self._batches.hold(part) as batch:
                busy += [i for i in part if i not in batch.standing]
                loose = {i: s for i, s in batch.standing.items() if self._is_loose(s, dead)}
                plans = {
                    i: self._plan(s, hopeless, reason, known=known.get(i, 0), promoted_s=promoted_s)
                    for i, s in loose.items()
                }
                outcomes = await batch.commit({i: plan.change for i, plan in plans.items() if plan.change})
                for i, plan in plans.items():
                    outcome = outcomes.get(i, "ok")
                    if outcome != "ok":
                        busy.append(i)
                        if outcome == "dead":
                            self._membership.beat_soon()
                    elif plan.start:
                        self._start(plan.start, loose[i], plan.change)
                        here.append(i)
        return Adopted(here, busy)

    async def note_promotion(self) -> None:
        """Note it in Redis, if its primary has become that by a failover. Raises what Redis raises."""
        await self._batches.promoted_s()

    def not_restarted(self, session_id: str, epoch: int, error: str) -> None:
        """A gadget that was to go on here under `epoch` could not be started: nobody runs it, visibly."""
        doublings, _ = self._failed.get(session_id, (0, 0.0))
        self._failed[session_id] = (
            min(doublings + 1, RETRY_DOUBLINGS_MAX),
            time.monotonic() + RETRY_S * 2**doublings,
        )
        self._sections.settle(session_id, self._orphaned(session_id, epoch, error))

    def _is_loose(self, standing: Standing, dead: Collection[str]) -> bool:
        stored = standing.look.stored
        if stored is None or stored.session.ended or stored.session.times_out_s <= time.time():
            return False
        session = stored.session
        if session.owner == self._membership.instance and session.status == "running":
            return not self._runner.runs(session.id) and not self._stopping.is_stopping(session.id)
        return session.status == "orphaned" or session.owner in dead or not stored.owner_alive

    def _plan(
        self,
        standing: Standing,
        hopeless: Callable[[Session], bool],
        reason: str,
        *,
        known: int,
        promoted_s: float,
    ) -> _Plan:
        stored = standing.look.stored
        assert stored is not None
        session = stored.session
        if not self.can_run(session):
            if session.status == "orphaned" or not hopeless(session):
                return _Plan()
            return _Plan(orphaning(standing.look, f"no replica has the source {session.source}"))
        known = max(known, session.handedOver.seq if session.handedOver else 0)
        end_lost = standing.seq < known or _may_have_lost(standing, session, promoted_s)
        left = None if end_lost else left_by(session, standing.seq)
        if left and session.owner == self._membership.instance and session.status == "running":
            return _Plan(start=session)
        after = replace(
            session,
            status="running",
            reason=None,
            owner=self._membership.instance,
            epoch=standing.look.next_epoch,
            revision=session.revision + 1,
            handedOver=left,
        )
        change = owner_change(stored, after, None if left else reason)
        if end_lost:
            self.new_streams += 1
            change = dataclasses.replace(change, stream=messages.new_stream_id(time.time()), had=known)
        return _Plan(change, after)

    def _start(self, session: Session, standing: Standing, change: Change | None) -> None:
        """Start a gadget whose session is this replica's, while its lock is held."""
        begin = session.handedOver
        if begin is None:
            position = SOURCES[session.source].position_now(session, standing.last)
            anew = change is not None and change.stream
            begin = HandedOver(1 if anew else standing.seq + 1, position)
            self.interruptions += 1
        if change is None:
            self.taken_up += 1
        else:
            self.adopted += 1
        self._runner.start(session, begin)
        self._runner.release(session.id)
        self._on_appended(session.id)  # what the last owner did not write to the history is for this one to write

    def _orphaned(self, session_id: str, epoch: int, error: str) -> Decide:
        async def decide(look: Look, _hold: Hold) -> Change | None:
            if self._runner.epoch(session_id) == epoch:
                await self._runner.stop(session_id, 0.0)
            if look.stored is None or look.stored.session.epoch != epoch or look.stored.session.status != "running":
                return None
            return orphaning(look, f"could not be started again: {error}")

        return decide


def owner_change(stored: Stored, after: Session, lost: str | None) -> Change:
    """The change that makes `after.owner` the owner; what went unobserved is announced for the reason `lost`."""
    return Change(
        after.id,
        after.owner,
        stored.raw,
        after,
        epoch=after.epoch,
        former=stored.session.owner,
        lost=lost,
        record=after,
    )


def orphaning(look: Look, reason: str) -> Change:
    """The change by which nobody may append any more, and everybody sees why."""
    assert look.stored is not None
    now = look.stored.session
    lost = replace(now, status="orphaned", reason=reason, epoch=look.next_epoch, revision=now.revision + 1)
    return Change(now.id, now.owner, look.stored.raw, lost, epoch=look.next_epoch, record=lost)


def _may_have_lost(standing: Standing, session: Session, promoted_s: float) -> bool:
    """Whether a failover may have taken the end of the stream, and nobody has seen since that it is there.

    Whoever appends sees it, and so does whoever becomes the owner.
    """
    owned_since_s = 0.0 if session.status == "orphaned" else session.epoch / 1e6
    return owned_since_s <= promoted_s and standing.older_than(promoted_s)


def left_by(session: Session, seq: int) -> HandedOver | None:
    """Where the last owner left the session to be gone on with, if nobody has gone on since."""
    return session.handedOver if session.handedOver and session.handedOver.seq == seq else None
