"""The gadgets that run in this process."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from reference_backend import messages
from reference_backend.appender import ELSEWHERE, Appender, Feed
from reference_backend.catalogue import GADGETS
from reference_backend.session import Session, rfc3339
from reference_backend.sources import SOURCES
from reference_backend.sources.base import SourceError

log = logging.getLogger(__name__)

OnEnded = Callable[[str, int, str], None]
"""Called with id, epoch and error ("" if it came to its end by itself)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gadget that runs here, under which epoch, and where its events go."""

    session: Session
    feed: Feed
    task: asyncio.Task[None]


class Runner:
    """Starts and stops gadgets; knows which ones really run."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._running: dict[str, Running] = {}
        self.on_ended: OnEnded = lambda _id, _epoch, _error: None
        appender.on_refused = self._refused

    def start(self, session: Session) -> None:
        """Start a session's gadget. Its events wait until `release`, which is called once the session exists."""
        feed = self._appender.open(session.id, session.epoch, 0)
        task = asyncio.create_task(self._run(session, feed), name=f"gadget {session.id}")
        self._running[session.id] = Running(session, feed, task)
        log.info("Started gadget %s for session %s", session.type, session.id)

    async def stop(self, session_id: str, within_s: float) -> bool:
        """Stop a gadget and wait until what it observed is in the stream. False if it was not running here.

        After `within_s` what still waits is dropped: nothing is appended once this has returned.
        """
        running = self._running.pop(session_id, None)
        if running is None:
            return False
        running.task.cancel()
        await asyncio.wait([running.task])
        try:
            async with asyncio.timeout(within_s):
                await running.feed.flushed()
        except TimeoutError:
            pass
        running.feed.refuse("stopped")
        log.info("Stopped gadget %s for session %s", running.session.type, session_id)
        return True

    def release(self, session_id: str) -> None:
        """The session exists now: its events may go to the stream."""
        if session_id in self._running:
            self._running[session_id].feed.release()

    def sessions(self) -> list[Session]:
        """The sessions whose gadgets run here."""
        return [running.session for running in self._running.values()]

    def runs(self, session_id: str) -> bool:
        """Whether this session's gadget runs here."""
        return session_id in self._running

    def epoch(self, session_id: str) -> int:
        """Under which epoch it runs; 0 if it does not."""
        running = self._running.get(session_id)
        return running.session.epoch if running else 0

    async def _run(self, session: Session, feed: Feed) -> None:
        event_type = GADGETS[session.type].event_type

        def emit(data: bytes) -> None:
            feed.offer(messages.event(session.id, event_type, rfc3339(time.time()), data))

        error = ""
        try:
            await SOURCES[session.source].open(session).run(emit)
        except SourceError as broken:
            error = str(broken)
        except Exception:
            log.exception("Gadget %s for session %s broke", session.type, session.id)
            error = "internal error of the source"
        self.on_ended(session.id, session.epoch, error)

    def _refused(self, feed: Feed) -> None:
        running = self._running.get(feed.session_id)
        if running is not None and running.feed is feed:
            del self._running[feed.session_id]
            running.task.cancel()
            log.warning("Stopped gadget %s for session %s: %s", running.session.type, feed.session_id, feed.refused)
            if feed.refused == ELSEWHERE:
                self.on_ended(feed.session_id, feed.epoch, "the stream lost what was appended last")
