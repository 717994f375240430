"""Beginning a session's stream anew, by its owner, where Redis lost the end of the one that was.

An append names its predecessor. If that is not the last message any more (a failover lost it, or somebody removed it),
the same numbers would be given to other messages, and whoever resumes would skip some without knowing. So another
stream begins, under a larger epoch, with an interruption. The gadget runs on meanwhile and what it observes waits.
"""

import logging
import time
from collections.abc import Callable

from msgspec.structs import replace

from reference_backend import messages
from reference_backend.appender import Feed
from reference_backend.locks import Hold
from reference_backend.runner import Runner
from reference_backend.sections import Sections
from reference_backend.session import Session
from reference_backend.store import Change, Look

log = logging.getLogger(__name__)

REASON = "Redis lost events"


class Rollover:
    """Carries it out for this replica's sessions."""

    def __init__(self, sections: Sections, runner: Runner, on_appended: Callable[[str], None]) -> None:
        self._sections = sections
        self._runner = runner
        self._on_appended = on_appended
        self.begun = 0

    def end_lost(self, feed: Feed) -> None:
        """Redis does not have what this feed appended last; the feed waits."""
        self._sections.spawn(self._begin_anew(feed))

    async def _begin_anew(self, feed: Feed) -> None:
        session_id = feed.session_id
        begun: Session | None = None

        async def decide(look: Look, _hold: Hold) -> Change | None:
            nonlocal begun
            now = look.stored.session if look.stored else None
            if now is None or feed.refused:
                begun = None
                return None
            if begun is not None and now.epoch == begun.epoch:
                return None  # it was made, and the answer was lost
            if now.epoch != feed.epoch or now.status != "running":
                begun = None
                return None
            begun = replace(now, epoch=look.next_epoch, revision=now.revision + 1, handedOver=None)
            assert look.stored is not None
            return Change(
                session_id,
                now.owner,
                look.stored.raw,
                begun,
                epoch=begun.epoch,
                stream=messages.new_stream_id(time.time()),
                record=begun,
                lost=REASON,
                had=feed.seq,
            )

        await self._sections.settle(session_id, decide)
        if begun is None:
            self._runner.disown(feed, "lost by Redis, or another's")
            return
        self.begun += 1
        log.warning("Redis lost the end of session %s's stream, after %d; another stream begins", session_id, feed.seq)
        self._runner.go_on(feed, begun)
        self._on_appended(session_id)
