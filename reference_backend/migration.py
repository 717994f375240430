"""Moving one session to a replica that a client names."""

import asyncio
import time

from reference_backend import peers
from reference_backend.balance import Balance, ask_to_give
from reference_backend.errors import ApiError, no_session, unavailable
from reference_backend.handover import Handover
from reference_backend.membership import Member, Membership
from reference_backend.peer_links import PeerLinks
from reference_backend.session import Session, Stored
from reference_backend.settings import Settings
from reference_backend.store import Store

AGAIN_S = 0.05


class Migration:
    """Has the owner of a session, whichever replica that is, hand it over."""

    def __init__(
        self,
        store: Store,
        handover: Handover,
        balance: Balance,
        *,
        links: PeerLinks,
        membership: Membership,
        settings: Settings,
    ) -> None:
        self._store = store
        self._handover = handover
        self._balance = balance
        self._links = links
        self._membership = membership
        self._sources = settings.source_names
        self._wait_s = settings.lock_wait_s

    async def migrate(self, session_id: str, to: str) -> Stored:
        """Make `to` the owner of a session; gives it as it is then.

        Raises:
            ApiError: 404, no such session or instance; 409, that one is leaving or lacks the session's source; 422, the
                session has ended; 503, its owner is gone at present, or somebody else works on it.
        """
        deadline = time.monotonic() + self._wait_s
        while True:
            stored = await self._store.read(session_id)
            if stored is None:
                raise no_session(session_id)
            if stored.session.ended:
                raise ApiError(422, "ended", f"session {session_id} has ended", field="id")
            members = {member.instance: member for member in await self._membership.alive()}
            if to not in members:
                raise ApiError(404, "no_instance", f"no live replica {to[:64]!r}", field="to")
            self._check(stored.session, to)
            if stored.session.owner == to and stored.session.status == "running":
                return stored
            owner = members.get(stored.session.owner)
            if owner is not None and stored.session.status == "running":
                await self._move(stored.session, owner, to)
            if time.monotonic() > deadline:
                raise unavailable("contended", "the session's owner is gone, or somebody else works on the session")
            await asyncio.sleep(AGAIN_S if owner is None else 0)

    def _check(self, session: Session, to: str) -> None:
        mine = to == self._membership.instance
        if self._balance.leaving if mine else self._links.draining(to):
            raise ApiError(409, "draining", f"replica {to} is leaving", field="to")
        sources = self._sources if mine else self._links.sources(to)
        if sources and session.source not in sources:
            raise ApiError(409, "no_source", f"replica {to} does not have the source {session.source}", field="to")

    async def _move(self, session: Session, owner: Member, to: str) -> None:
        if owner.instance == self._membership.instance:
            given = await self._handover.give([session.id], to)
        else:
            try:
                given = await ask_to_give(owner.address, to, sessions=[session.id])
            except peers.PeerError:
                given = []
        if not given:
            await asyncio.sleep(AGAIN_S)
