"""Stopping a session's gadget, wherever it runs, before a change that needs it stopped is committed."""

import logging
import time
from typing import Literal

from msgspec.structs import replace

from reference_backend import messages, peers
from reference_backend.errors import ApiError
from reference_backend.locks import Hold, Locks
from reference_backend.membership import Membership
from reference_backend.runner import Runner
from reference_backend.sections import Decide, Sections
from reference_backend.session import Session, Stored, rfc3339
from reference_backend.settings import Settings
from reference_backend.store import Change, Look

log = logging.getLogger(__name__)

Ended = Literal["stopped", "error"]
STOPPED = 204


def end_of(look: Look, status: Ended, reason: str, *, remove: bool, keep_s: float) -> Change:
    """The change that ends a session's stream and takes the right to append from everybody.

    Its record is removed, or stays for `keep_s` seconds.
    """
    assert look.stored is not None
    now, now_s = look.stored.session, time.time()
    ended = replace(
        now,
        status=status,
        reason=reason,
        endTime=rfc3339(now_s),
        epoch=look.next_epoch,
        revision=now.revision + 1,
    )
    return Change(
        now.id,
        now.owner,
        look.stored.raw,
        None if remove else ended,
        epoch=look.next_epoch,
        end=messages.session_ended(now.id, rfc3339(now_s), reason),
        due_s=now_s + keep_s,
        keep=True,
        record=ended,
    )


class Stopping:
    """Stops gadgets here, and asks other owners to."""

    def __init__(
        self, locks: Locks, sections: Sections, runner: Runner, membership: Membership, settings: Settings
    ) -> None:
        self._locks = locks
        self._sections = sections
        self._runner = runner
        self._membership = membership
        self._wait_s = settings.owner_stop_wait_s
        self._lock_ttl_s = settings.lock_ttl_s
        self._keep_s = settings.ended_keep_s
        self._stopped: dict[str, int] = {}
        self.overruled = 0

    def is_stopping(self, session_id: str) -> bool:
        """Whether its gadget was stopped here for a commit that may still come."""
        return session_id in self._stopped

    async def stop(self, stored: Stored, hold: Hold) -> None:
        """Make sure that a gadget does not run; an owner that does not answer is overruled by the commit's epoch."""
        session = stored.session
        if session.owner == self._membership.instance:
            await self._stop_for_commit(session.id)
        elif stored.owner_alive and session.status == "running":
            await self._ask_owner(session, hold)

    async def stop_for_peer(self, session_id: str, token: str) -> None:
        """Stop a gadget because the holder of its session's lock asks for it; the commit is the holder's.

        Raises:
            ApiError: 403, `token` does not hold the lock.
        """
        if not await self._locks.holds(session_id, token):
            raise ApiError(403, "not_the_holder", "the token does not hold the session's lock", field="token")
        await self._stop_for_commit(session_id)

    def gadget_ended(self, session_id: str, epoch: int, error: str) -> None:
        """A gadget that ran here under `epoch` has come to its end, or broke: end its session, if nobody else did."""
        self._sections.settle(session_id, self._ended(session_id, epoch, error))

    async def _stop_for_commit(self, session_id: str) -> None:
        epoch = self._runner.epoch(session_id)
        if await self._runner.stop(session_id, self._wait_s):
            # If the commit never comes, nobody runs the gadget of a session that says it is running.
            self._stopped[session_id] = epoch
            settling = self._sections.settle(session_id, self._ended(session_id, epoch, ""), after_s=self._lock_ttl_s)
            settling.add_done_callback(lambda _: self._stopped.pop(session_id, None))

    def _ended(self, session_id: str, epoch: int, error: str) -> Decide:
        async def decide(look: Look, _hold: Hold) -> Change | None:
            if self._runner.epoch(session_id) == epoch:
                await self._runner.stop(session_id, self._wait_s)
            if look.stored is None or look.stored.session.epoch != epoch or look.stored.session.ended:
                return None
            status: Ended = "error" if error else "stopped"
            return end_of(look, status, error or "completed", remove=False, keep_s=self._keep_s)

        return decide

    async def _ask_owner(self, session: Session, hold: Hold) -> None:
        url = f"{await self._membership.address_of(session.owner)}/internal/sessions/{session.id}/stop"
        try:
            status, _ = await peers.call("POST", url, within_s=self._wait_s, body={"token": hold.token})
        except peers.PeerError as error:
            log.warning("Session %s: %s", session.id, error)
            status = 0
        if status != STOPPED:
            self.overruled += 1
            log.warning("Overruling the owner %s of session %s", session.owner, session.id)
