"""What clients do to sessions: create, update, delete.

Whatever a crash leaves between two steps is either nothing (before the commit) or complete (after it), because a commit
changes all keys of a session at once. A gadget that was stopped for a commit that never came is settled by its owner
when the lock has expired.
"""

import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from reference_backend import keys, messages
from reference_backend.errors import ApiError, no_session, unavailable
from reference_backend.locks import Hold, Locks
from reference_backend.membership import Membership
from reference_backend.runner import AT_FIRST, Runner
from reference_backend.sections import Decide, Sections
from reference_backend.session import NS_PER_S, Labels, Session, Stored, encode, rfc3339
from reference_backend.stopping import Stopping, end_of
from reference_backend.store import Change, Look, Outcome, Store, retry_later


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid request for a session."""

    type: str
    namespace: str
    pod_name: str
    container_name: str
    labels: Labels
    source: str
    rate: float
    size: int
    timeout_ns: int
    parameters: dict[str, Any]


class Lifecycle:
    """The changes that clients ask for.

    Attributes:
        place: tells which replica is to run a new session of this source; None if there is none.
        placed: tells another replica of a session that it is to run now.
    """

    def __init__(
        self,
        store: Store,
        locks: Locks,
        sections: Sections,
        stopping: Stopping,
        runner: Runner,
        *,
        membership: Membership,
        keep_s: float,
    ) -> None:
        self._store = store
        self._locks = locks
        self._sections = sections
        self._runner = runner
        self._membership = membership
        self._stopping = stopping
        self._keep_s = keep_s
        self.place: Callable[[str], str | None] = lambda _source: membership.instance
        self.placed: Callable[[str, str], Coroutine[Any, Any, None]]

    async def create(self, wanted: Wanted, idempotency_key: str | None) -> tuple[Stored, bool]:
        """A new session, and True; or the one that was made with the same key before, and False.

        Raises:
            ApiError: 410, that one was deleted; 503.
        """
        if idempotency_key is None:
            return await self._create(wanted, None), True
        lock, fence = keys.idempotency_lock(idempotency_key), keys.idempotency_fence(idempotency_key)
        async with self._locks.hold(lock, fence):
            known = await self._store.by_idempotency_key(idempotency_key)
            if known is None:
                return await self._create(wanted, idempotency_key), True
            stored = await self._store.read(known)
            if stored is None:
                message = f"session {known}, made with this key, was deleted"
                raise ApiError(410, "gone", message, field="Idempotency-Key")
            return stored, False

    async def update(self, session_id: str, labels: Labels, if_revision: int | None) -> Stored:
        """Replace a session's labels.

        Raises:
            ApiError: 404; 412, its revision is not `if_revision`; 503.
        """
        updated: Stored | None = None

        async def decide(look: Look, _hold: Hold) -> Change | None:
            nonlocal updated
            if look.stored is None:
                raise no_session(session_id)
            now = look.stored.session
            if if_revision is not None and if_revision != now.revision:
                message = f"the session is at revision {now.revision}, not {if_revision}"
                raise ApiError(412, "stale", message, field="If-Match")
            after = replace(now, labels=labels, revision=now.revision + 1)
            updated = Stored(encode(after), after, look.stored.owner_alive)
            return Change(session_id, now.owner, look.stored.raw, after, record=after)

        await self._sections.run(session_id, decide, invented=True)
        assert updated is not None
        return updated

    async def delete(self, session_id: str) -> None:
        """Stop a session's gadget and remove it; when this returns nothing can be appended any more.

        Raises:
            ApiError: 404; 503.
        """

        async def decide(look: Look, hold: Hold) -> Change | None:
            if look.stored is None:
                raise no_session(session_id)
            now = look.stored.session
            if now.ended:
                gone = replace(now, revision=now.revision + 1)
                return Change(session_id, now.owner, look.stored.raw, None, keep=True, record=gone)
            await self._stopping.stop(look.stored, hold)
            return end_of(look, "stopped", "stopped", remove=True, keep_s=self._keep_s)

        await self._sections.run(session_id, decide, invented=True)

    async def _create(self, wanted: Wanted, idempotency_key: str | None) -> Stored:
        owner = self.place(wanted.source)
        if owner is None:
            raise unavailable("draining", "this replica is stopping, and there is no other")
        if not self._membership.lease_good:
            raise unavailable("not_ready", "this replica has no heartbeat at present")
        outcome, stored = await self._create_at(owner, wanted, idempotency_key)
        if outcome == "dead" and owner != self._membership.instance:
            owner = self._membership.instance
            outcome, stored = await self._create_at(owner, wanted, idempotency_key)
        if outcome != "ok":
            if outcome == "dead":
                self._membership.beat_soon()
            raise retry_later(outcome)
        if owner != self._membership.instance:
            self._sections.spawn(self.placed(stored.session.id, owner))
        return stored

    async def _create_at(self, owner: str, wanted: Wanted, idempotency_key: str | None) -> tuple[Outcome, Stored]:
        """A session of this owner; if that is this replica, its gadget runs then."""
        session_id = str(uuid.uuid4())
        here = owner == self._membership.instance
        async with self._locks.session(session_id) as hold:
            look = await self._store.look(session_id)
            now_s = time.time()
            session = Session(
                id=session_id,
                type=wanted.type,
                namespace=wanted.namespace,
                podName=wanted.pod_name,
                containerName=wanted.container_name,
                labels=wanted.labels,
                status="running",
                startTime=rfc3339(now_s),
                timeout=wanted.timeout_ns,
                owner=owner,
                epoch=look.next_epoch,
                revision=1,
                source=wanted.source,
                rate=wanted.rate,
                size=wanted.size,
                parameters=wanted.parameters,
                handedOver=None if here else AT_FIRST,
            )
            change = Change(
                session_id,
                session.owner,
                None,
                session,
                epoch=session.epoch,
                stream=messages.new_stream_id(now_s),
                due_s=now_s + wanted.timeout_ns / NS_PER_S,
                record=session,
                idempotency_key=idempotency_key,
            )
            if here:
                self._runner.start(session)
            try:
                outcome = await self._store.commit(hold, change)
            except BaseException:
                # Perhaps it was made: the gadget waits until Redis says.
                if here:
                    self._sections.settle(session_id, self._created_or_not(session))
                raise
            if outcome == "ok":
                self._runner.release(session_id)
            else:
                await self._runner.stop(session_id, 0.0)
        return outcome, Stored(encode(session), session, owner_alive=True)

    def _created_or_not(self, session: Session) -> Decide:
        """Under the lock, which the doubtful commit has lost by then: release the gadget's events, or stop it."""

        async def decide(look: Look, _hold: Hold) -> Change | None:
            if look.stored is not None and look.stored.session.epoch == session.epoch:
                self._runner.release(session.id)
            else:
                await self._runner.stop(session.id, 0.0)
            return None

        return decide
