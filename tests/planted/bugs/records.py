"""Bugs around what a session leaves in Redis and what of it goes on: create and delete."""

import asyncio

from planted.base import plant
from planted.patching import edit, edit_script, replace
from reference_backend import scripts
from reference_backend.locks import Hold
from reference_backend.runner import Runner
from reference_backend.session import Stored
from reference_backend.stopping import Stopping

LATER_S = 5.0


@plant(caught_by="session-record", unrelated="history", also=("shared-view", "restart-persistence", "scaling"))
def create_that_forgets_the_index() -> None:
    """A new session is not added to `sessions:active`; so it is in no list, which others may blame too."""
    edit_script(scripts.COMMIT, "redis.call('SADD', active, id)\n", "\n")


@plant(caught_by="session-record", unrelated="replicas")
def delete_that_forgets_a_key() -> None:
    """After a delete `stream:{id}` stays for ever."""
    edit_script(scripts.COMMIT, "ipairs({events, stream, epoch, fence})", "ipairs({events, epoch, fence})")


@plant(caught_by="session-record", unrelated="stickiness")
def delete_that_forgets_the_owner() -> None:
    """A deleted session stays in the set of what its owner owns."""
    edit_script(scripts.COMMIT, "redis.call('SREM', owned, id)\n", "\n")


@plant(caught_by="session-record", unrelated="replicas")
def delete_elsewhere_leaves_the_gadget() -> None:
    """A delete that reaches another replica than the owner does not tell the owner, whose gadget runs on."""
    edit(Stopping, "stop", "await self._ask_owner(session, hold)", "pass")
    edit(Runner, "_refused", "running is not None and running.feed is feed", "False")


@plant(caught_by="session-record", unrelated="replicas", also=("history", "continuity"))
def delete_before_the_gadget_ended() -> None:
    """A delete is answered at once, and the gadget stopped seconds later.

    Appends carry no epoch and are not compared with what was there; so what goes on is blamed, rightly, by whoever
    looks at streams or at the history after a delete.
    """
    stop = Stopping.stop

    async def later(self: Stopping, stored: Stored, hold: Hold) -> None:
        async def wait() -> None:
            await asyncio.sleep(LATER_S)
            await stop(self, stored, hold)

        self._sections.spawn(wait())

    replace(Stopping, "stop", later)
    edit_script(scripts.APPEND, "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end", "")
    edit_script(scripts.APPEND, "return 'elsewhere'", "before = last")
