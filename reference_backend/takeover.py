"""Sees to it that every session's gadget runs somewhere: those of replicas that died, and this replica's own.

Death is noticed through the connections between replicas, at once, or by the lease. What a dead replica left is dealt
out among the living: one list in Redis, the same for all who ask, of which each takes every so manyth. What is left
over after a while (another one was about to die too, or is busy) is taken by anybody. Then the dead one is buried.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Collection, Coroutine
from typing import Any

from redis.asyncio import Redis

from reference_backend import keys
from reference_backend.adoption import Adoption
from reference_backend.ending import end
from reference_backend.membership import Membership
from reference_backend.peer_links import PeerLinks
from reference_backend.redis_access import UNREACHABLE
from reference_backend.runner import Runner
from reference_backend.scripts import Script
from reference_backend.session import Session
from reference_backend.settings import Settings
from reference_backend.store import Store

log = logging.getLogger(__name__)

DEAL_TTL_S = 60
DEAL_WAIT_S = 0.3
LOOK_ROUND_EVERY = 60
LOOK_CLOSELY_EVERY = 10
SELF_FENCED = "owner had no lease"

# KEYS orphans, owned. ARGV TTL ms, ids... -> the list by which a dead replica's sessions are dealt out, the same for
# all who ask: its owned set as it was when the first one asked, or the ids that the first one found.
DEAL = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('SUNIONSTORE', KEYS[1], KEYS[2]) end
  for i = 2, #ARGV do redis.call('SADD', KEYS[1], ARGV[i]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return redis.call('SMEMBERS', KEYS[1])
"""
)


class Takeover:
    """`run` must be running.

    Attributes:
        closing: this replica takes over nothing any more.
    """

    def __init__(
        self,
        redis: Redis,
        store: Store,
        adoption: Adoption,
        runner: Runner,
        *,
        membership: Membership,
        links: PeerLinks,
        settings: Settings,
    ) -> None:
        self._redis = redis
        self._store = store
        self._adoption = adoption
        self._runner = runner
        self._membership = membership
        self._links = links
        self._scan_s = settings.takeover_scan_s
        self._soon = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._died: set[str] = set()
        self._dealt: set[str] = set()
        self._fenced: dict[str, int] = {}
        self._look_closely = True
        self._scans = 0
        self._look_round = True
        self.closing = False

    def look_soon(self) -> None:
        """Look now: somebody has come."""
        self._soon.set()

    def look_closely(self) -> None:
        """Look at everything: Redis was away, and may have lost something."""
        self._look_closely = self._look_round = True
        self._soon.set()

    def died(self, instance: str) -> None:
        """This replica is dead for certain, whatever its heartbeat says."""
        self._died.add(instance)
        self._handle(instance)

    async def fence(self) -> None:
        """This replica has no lease: stop all gadgets, at once, without a word to Redis."""
        running = [session.id for session in self._runner.sessions()]
        self._fenced = dict.fromkeys(running, 0) | self._fenced  # it may happen again before this replica is back
        halted = await self._runner.halt(running, 0.0)
        self._fenced |= {i: stopped.seq for i, stopped in halted.items()}

    async def run(self) -> None:
        """Look every scan, for ever. Raises what Redis raises; to be called again then."""
        await self._membership.first_beat.wait()
        while True:
            self._soon.clear()
            if not self.closing:
                await self._scan()
            try:
                async with asyncio.timeout(self._scan_s * random.uniform(0.9, 1.1)):
                    await self._soon.wait()
            except TimeoutError:
                self._scans += 1

    async def close(self) -> None:
        """Stop what is under way."""
        await end(self._tasks.values())

    async def _scan(self) -> None:
        seen_s = time.monotonic()
        alive, dead = await self._membership.survey()
        self._links.update(alive, seen_s)
        for instance in self._died | (set(dead) if self._membership.may_adopt else set()):
            self._handle(instance)
        if not self._membership.lease_good:
            return
        if self._look_closely:
            await self._adoption.note_promotion()
        if self._fenced:
            await self._come_back()
        await self._look_at_own()
        if self._look_round or self._scans % LOOK_ROUND_EVERY == LOOK_ROUND_EVERY - 1:
            self._look_round = not self._membership.may_adopt
            for owner, ids in (await self._orphans()).items():
                if owner not in self._tasks and self._membership.may_adopt:
                    await self._adoption.adopt(self._share(await self._deal(owner, ids), owner))

    async def _look_at_own(self) -> None:
        """What this replica owns and does not run is started; what it runs and does not own is stopped."""
        owned = await self._membership.owned_count()
        if owned == self._runner.count and self._scans % LOOK_CLOSELY_EVERY and not self._look_closely:
            return
        self._look_closely = False
        ids = set(await self._membership.owned_by(self._membership.instance))
        missing = [i for i in ids if not self._runner.runs(i)]
        if missing:
            adopted = await self._adoption.adopt(missing, reason="owner did not run it")
            if adopted.here:
                log.info("Started %d sessions that were this replica's and did not run", len(adopted.here))
            await self._forget([i for i in missing if i not in adopted.here])
        running = self._runner.appending()
        epochs = await self._store.epochs([s.id for s in running])
        still = {s.id: s.epoch for s in self._runner.appending()}
        foreign = [s.id for s, epoch in zip(running, epochs, strict=True) if epoch != s.epoch == still.get(s.id)]
        if foreign:
            log.warning(
                "Stopping %d gadgets whose sessions have other owners, or were lost by Redis: %s",
                len(foreign),
                ", ".join(foreign),
            )
            await self._runner.halt(foreign, 0.0)

    async def _forget(self, ids: Collection[str]) -> None:
        """Sessions that Redis lost are nobody's."""
        found = {stored.session.id async for stored in self._store.records(sorted(ids))}
        gone = [i for i in ids if i not in found]
        if gone:
            await self._membership.disown(gone)

    async def _come_back(self) -> None:
        """After a time without a lease: go on with what nobody took over, and say what is others' now."""
        fenced = set(self._fenced)
        own = await self._own(fenced)
        log.warning(
            "Back with a lease: of %d sessions %d have other owners now, or none; appended and committed for them: "
            "nothing more",
            len(fenced),
            len(fenced) - len(own),
        )
        await self._adoption.adopt(own, reason=SELF_FENCED, known=self._fenced)
        # Some may be locked at present.
        self._fenced = {i: self._fenced[i] for i in await self._own(fenced) if not self._runner.runs(i)}

    async def _own(self, ids: Collection[str]) -> list[str]:
        """Those of these sessions that this replica is to run."""
        sessions = [stored.session async for stored in self._store.records(sorted(ids))]
        return [s.id for s in sessions if s.owner == self._membership.instance and s.status == "running"]

    def _handle(self, instance: str) -> None:
        if instance in self._tasks or self.closing:
            return
        task = asyncio.create_task(self._quietly(self._take_over(instance)), name=f"take over {instance}")
        self._tasks[instance] = task
        task.add_done_callback(lambda _: self._tasks.pop(instance, None))

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except UNREACHABLE:
            pass  # the next scan comes back to it
        except Exception:
            log.exception("A takeover broke; the next scan comes back to it")

    async def _take_over(self, instance: str) -> None:
        certain = instance in self._died
        if instance not in self._dealt:
            await self._take_share(instance, certain=certain)
            await asyncio.sleep(DEAL_WAIT_S if certain else self._scan_s)
        left = (await self._orphans({instance})).get(instance, [])
        random.shuffle(left)
        # Without certainty it may have come back meanwhile: then each look finds its owner alive.
        dead = {instance} if certain else set()
        adopted = await self._adoption.adopt(left, dead=dead, hopeless=self._hopeless)
        if left:
            taken = len(adopted.here)
            log.info("Replica %s is dead; of %d sessions left over %d run here now", instance, len(left), taken)
        if adopted.busy or not self._membership.lease_good:
            return  # some are locked, perhaps by the dead; the next scan comes back to it
        await self._membership.bury(instance)
        self._dealt.discard(instance)
        self._died.discard(instance)

    async def _take_share(self, instance: str, *, certain: bool) -> None:
        began_s = time.monotonic()
        ids: list[str] = []
        if certain:
            ids, _ = await asyncio.gather(self._deal(instance), self._membership.declare_dead(instance))
        if not ids:  # its owned set has gone with its lease
            ids = await self._deal(instance, (await self._orphans({instance})).get(instance, []))
        dead = {instance} if certain else set()
        adopted = await self._adoption.adopt(self._share(ids, instance), dead=dead)
        self._dealt.add(instance)
        took_ms = (time.monotonic() - began_s) * 1000
        log.info(
            "Replica %s is dead; of its %d sessions %d run here after %.0f ms",
            instance,
            len(ids),
            len(adopted.here),
            took_ms,
        )

    async def _deal(self, instance: str, found: list[str] | None = None) -> list[str]:
        """The list by which a dead replica's sessions are dealt out."""
        names = [keys.orphans(instance), keys.owned(instance)]
        ids: list[bytes] = await DEAL.run(self._redis, names, [DEAL_TTL_S * 1000, *(found or ())])
        return sorted(i.decode() for i in ids)

    def _share(self, ids: list[str], instance: str) -> list[str]:
        """Every so manyth of a list: those that are for this replica."""
        able = {peer.member.instance for peer in self._links.able} - {instance} | {self._membership.instance}
        return ids[sorted(able).index(self._membership.instance) :: len(able)]

    async def _orphans(self, owners: set[str] | None = None) -> dict[str, list[str]]:
        """All sessions that nobody runs, or those of these owners, by their last owner."""
        found: dict[str, list[str]] = defaultdict(list)
        async for stored in self._store.records(await self._store.ids()):
            session = stored.session
            lost = session.owner in owners if owners else not stored.owner_alive or session.status == "orphaned"
            if lost and not session.ended:
                found[session.owner].append(session.id)
        return found

    def _hopeless(self, session: Session) -> bool:
        """Whether no other replica has the source either, as far as is known."""
        return not any(session.source in peer.told.sources for peer in self._links.able)
