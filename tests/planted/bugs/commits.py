"""Bugs around the commit: what a change of a session has to be compared with before it is written."""

from planted.base import plant
from planted.patching import edit, edit_script, replace
from reference_backend import keys, scripts
from reference_backend.lifecycle import Lifecycle
from reference_backend.sections import Sections

CHECKED = "if redis.call('GET', lock) ~= token or redis.call('GET', fence) ~= my_fence then return 'lost' end"


@plant(caught_by="locking", unrelated="identity")
def commit_without_lock() -> None:
    """Changes of a session are compared and set, but nobody takes the lock for them."""
    edit_script(scripts.COMMIT, CHECKED, "")
    edit(
        Sections,
        "run",
        "async with self._locks.session(session_id) as hold:",
        "for hold in (Hold('', ''),):",
    )


@plant(caught_by="locking", unrelated="session-record")
def stale_fence_accepted() -> None:
    """The commit does not look at lock and fence: a holder that was overtaken still writes."""
    edit_script(scripts.COMMIT, CHECKED, "")


@plant(caught_by="locking", unrelated="replicas", also=("continuity",))
def fence_and_epoch_from_one_counter() -> None:
    """The fence is taken from the counter of the epochs.

    Every lock takes the right to append from the session's owner: a stream falls silent when its session is changed.
    """
    replace(keys, "fence", keys.epoch)


@plant(caught_by="shared-view", unrelated="identity")
def lost_update() -> None:
    """The record is read before the lock is had, and what was made of it is written over what came in between.

    A change that meets a delete brings the session back.
    """
    edit(
        Lifecycle,
        "update",
        "updated: Stored | None = None",
        "updated, early = None, await self._store.read(session_id)",
    )
    edit(Lifecycle, "update", "if look.stored is None:", "if early is None:")
    edit(Lifecycle, "update", "now = look.stored.session", "now = early.session")
    edit(Lifecycle, "update", "after, look.stored.owner_alive", "after, early.owner_alive")
    edit(Lifecycle, "update", "now.owner, look.stored.raw, after", "now.owner, look.stored and look.stored.raw, after")
