"""Bugs of takeovers: who gets an orphan, under which epoch, where its stream goes on, and what is said of the loss."""

import asyncio
from dataclasses import replace as with_
from typing import Any

from planted.base import plant
from planted.patching import edit, edit_script
from reference_backend import scripts
from reference_backend.adoption import Adoption
from reference_backend.appender import Appender, Feed
from reference_backend.batches import Standing
from reference_backend.session import Session, Stored
from reference_backend.sources import synthetic
from reference_backend.takeover import Takeover

HERE = '__import__("planted.bugs.takeover", fromlist=["takeover"])'
COPIED_FOR_S = 0.15


@plant(caught_by="takeover", unrelated="session-record")
def two_owners() -> None:
    """Everybody who notices a death takes all that the dead one had, also what another one has taken by then.

    The one who came first is not told, and its owned set keeps what it took.
    """
    edit(Takeover, "_take_over", "(await self._orphans({instance})).get(instance, [])", "await self._deal(instance)")
    edit(Adoption, "_is_loose", "return session.status ==", "return bool(dead) or session.status ==")
    edit_script(scripts.COMMIT, "redis.call('SREM', former, id)", "")


@plant(caught_by="takeover", unrelated="history")
def adoption_without_epoch() -> None:
    """A session that is taken over keeps its epoch: what its dead owner still sends has the right one."""
    edit(Adoption, "_plan", "epoch=standing.look.next_epoch", "epoch=session.epoch")
    edit(
        Adoption,
        "_plan",
        "owner_change(stored, after, None if left else reason)",
        f"{HERE}.with_(owner_change(stored, after, None if left else reason), epoch=None)",
    )


@plant(caught_by="takeover", unrelated="shared-view")
def late_appends_accepted() -> None:
    """An append does not look at the epoch, and goes behind whatever is there."""
    edit_script(scripts.APPEND, "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end", "")
    edit_script(scripts.APPEND, "return 'elsewhere'", "before = last")


@plant(caught_by="takeover", unrelated="replicas", also=("history", "continuity"))
def seq_begun_anew() -> None:
    """Who takes a session over begins its stream again, with the number 1.

    What was in the stream is gone: watchers do not hear of the session until the numbers have come to where they stood.
    """
    edit_script(
        scripts.COMMIT,
        "if since > lost_until then since = lost_until end",
        "if since > lost_until then since = lost_until end\n  redis.call('DEL', events)\n  seq = 0",
    )
    edit(Adoption, "_start", "1 if anew else standing.seq + 1", "1")


@plant(caught_by="continuity", unrelated="replicas", also=("takeover", "history"))
def loss_not_announced() -> None:
    """A source goes on by its clock after a takeover, and nothing says that some of its events were not observed."""
    edit(Adoption, "_plan", "None if left else reason", "None")
    edit(Adoption, "_start", "1 if anew else standing.seq + 1", "standing.seq")


@plant(caught_by="continuity", unrelated="session-record", also=("takeover",))
def interruption_announced_and_events_sent_too() -> None:
    """A source goes on where it stood before the takeover: it is announced that its events are lost, and they come."""
    edit(
        Adoption,
        "_start",
        "SOURCES[session.source].position_now(session, standing.last)",
        f"{HERE}.position_told(standing.last)",
    )


def position_told(last: bytes) -> int:
    """The count of the last event."""
    data: Any = synthetic._message.decode(last).data if last else []
    return max((row.n for row in (data if isinstance(data, list) else [data])), default=0)


@plant(caught_by="takeover", unrelated="stickiness")
def stop_request_lost() -> None:
    """Who takes over goes by a copy of the records, made when the death was noticed.

    A session that is deleted a moment later comes back.
    """
    edit(
        Adoption,
        "adopt",
        "here: list[str] = []",
        f"copied = await {HERE}.copied(self, ids) if dead else {{}}\n    here: list[str] = []",
    )
    edit(
        Adoption,
        "adopt",
        "for i, s in batch.standing.items()",
        f"for i, s in {HERE}.as_it_was(batch.standing, copied).items()",
    )


async def copied(adoption: Adoption, ids: list[str]) -> dict[str, Session]:
    """The records as they are now; returns a while later."""
    found = {stored.session.id: stored.session async for stored in adoption._batches._store.records(sorted(ids))}
    await asyncio.sleep(COPIED_FOR_S)
    return found


def as_it_was(standing: dict[str, Standing], before: dict[str, Session]) -> dict[str, Standing]:
    """What was found, with the copy of a record in place of one that is gone."""
    return {
        i: with_(one, look=with_(one.look, stored=Stored(b"", before[i], owner_alive=False)))
        if one.look.stored is None and i in before
        else one
        for i, one in standing.items()
    }


@plant(caught_by="takeover", unrelated="identity")
def orphans_all_adopted_by_one() -> None:
    """What a dead replica left is not dealt out: the first of the others takes all of it."""
    edit(
        Takeover,
        "_share",
        "return ids[sorted(able).index(self._membership.instance) :: len(able)]",
        "return ids if min(able) == self._membership.instance else []",
    )


@plant(caught_by="continuity", unrelated="replicas", also=("history", "takeover", "shared-view"))
def overflow_not_announced() -> None:
    """What does not fit into the buffer while Redis is away is dropped without a word.

    So that it overflows soon, two events of a session fit.
    """
    edit(Appender, "__init__", "settings.pending_events", "2")
    edit(Feed, "offer", "self._lost_since = self._lost_since or time.time()", "self._lost_since = 0.0")
