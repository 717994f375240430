"""The gadgets that run in this process."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from reference_backend import messages
from reference_backend.appender import Appender, Feed
from reference_backend.catalogue import GADGETS
from reference_backend.session import HandedOver, Session, rfc3339
from reference_backend.sources import SOURCES
from reference_backend.sources.base import Source, SourceError

log = logging.getLogger(__name__)

AT_FIRST = HandedOver(0, 0)

LIVES_S = 1.0  # a gadget that was started again and breaks sooner, without an event, could not be started

OnEnded = Callable[[str, int, str], None]
"""Called with id, epoch and error ("" if it came to its end by itself)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gadget that runs here, under which epoch, and where its events go."""

    session: Session
    source: Source
    feed: Feed
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class Halted:
    """A gadget that was stopped to run elsewhere: under which epoch it ran, and where another one may go on.

    `left` None: nowhere; it cannot be handed over, or something that it observed did not get into the stream.
    `seq`: how far the stream went for certain.
    """

    epoch: int
    left: HandedOver | None
    seq: int


class Runner:
    """Starts and stops gadgets; knows which ones really run."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._running: dict[str, Running] = {}
        self.on_ended: OnEnded = lambda _id, _epoch, _error: None
        self.on_not_restarted: OnEnded = lambda _id, _epoch, _error: None
        appender.on_refused = self._refused

    def start(self, session: Session, begin: HandedOver = AT_FIRST) -> None:
        """Start a session's gadget. Its events wait until `release`, which is called once they may be appended.

        `begin`: where its stream stands, and after which position the source goes on.
        """
        feed = self._appender.open(session.id, session.epoch, begin.seq)
        source = SOURCES[session.source].open(session, begin.position)
        again = begin is not AT_FIRST
        task = asyncio.create_task(self._run(session, source, feed, again=again), name=f"gadget {session.id}")
        self._running[session.id] = Running(session, source, feed, task)
        log.info("Started gadget %s for session %s", session.type, session.id)

    async def halt(self, ids: Iterable[str], within_s: float) -> dict[str, Halted]:
        """Stop those of these gadgets that run here, all together; tells where others may go on.

        One that has come to its end by itself is left alone: its session is about to end.

        Nothing is appended once this has returned; what then is not in the stream makes its position worthless.
        """
        run = [i for i in ids if i in self._running and not self._running[i].task.done()]
        halted = {i: self._running.pop(i) for i in run}
        for running in halted.values():
            running.task.cancel()
        if halted:
            await asyncio.wait([running.task for running in halted.values()])
            flushes = [asyncio.create_task(running.feed.flushed()) for running in halted.values()]
            _, late = await asyncio.wait(flushes, timeout=within_s)
            for flush in late:
                flush.cancel()
        left = {}
        for i, running in halted.items():
            position = running.source.position if running.feed.complete else None
            where = None if position is None else HandedOver(running.feed.seq, position)
            left[i] = Halted(running.session.epoch, where, running.feed.seq)
            running.feed.refuse("stopped")
            log.info("Stopped gadget %s for session %s", running.session.type, i)
        return left

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

    @property
    def count(self) -> int:
        """How many gadgets run here."""
        return len(self._running)

    def sessions(self) -> list[Session]:
        """The sessions whose gadgets run here."""
        return [running.session for running in self._running.values()]

    def appending(self) -> list[Session]:
        """Those of them whose events may be appended: Redis is to know them under this epoch."""
        return [running.session for running in self._running.values() if not running.feed.held]

    def waits(self, session_id: str) -> bool:
        """Whether its events wait for something: the session's beginning, or another stream."""
        running = self._running.get(session_id)
        return running is not None and running.feed.held

    def go_on(self, feed: Feed, session: Session) -> None:
        """Another stream of a session has begun, with one message and under another epoch: its gadget goes on there."""
        running = self._running.get(session.id)
        if running is not None and running.feed is feed:
            self._running[session.id] = replace(running, session=session)
            feed.begin_anew(session.epoch, 1)

    def disown(self, feed: Feed, why: str) -> None:
        """Stop a gadget whose session is no longer this replica's."""
        if not feed.refused:
            feed.refuse(why)
            self._refused(feed)

    def runs(self, session_id: str) -> bool:
        """Whether this session's gadget runs here."""
        return session_id in self._running

    def epoch(self, session_id: str) -> int:
        """Under which epoch it runs; 0 if it does not."""
        running = self._running.get(session_id)
        return running.session.epoch if running else 0

    async def _run(self, session: Session, source: Source, feed: Feed, *, again: bool) -> None:
        event_type = GADGETS[session.type].event_type

        def emit(data: bytes) -> None:
            feed.offer(messages.event(session.id, event_type, rfc3339(time.time()), data))

        error, began_s, first = "", time.monotonic(), feed.seq
        try:
            await source.run(emit)
        except SourceError as broken:
            error = str(broken)
        except Exception:
            log.exception("Gadget %s for session %s broke", session.type, session.id)
            error = "internal error of the source"
        silent = feed.seq == first and not feed.pending
        failed_at_once = error and again and silent and time.monotonic() - began_s < LIVES_S
        (self.on_not_restarted if failed_at_once else self.on_ended)(session.id, feed.epoch, error)

    def _refused(self, feed: Feed) -> None:
        running = self._running.get(feed.session_id)
        if running is not None and running.feed is feed:
            del self._running[feed.session_id]
            running.task.cancel()
            log.warning("Stopped gadget %s for session %s: %s", running.session.type, feed.session_id, feed.refused)
