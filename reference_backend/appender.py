"""Appends what sources observe to the sessions' streams: numbered, in order, all of one tick in one round trip.

Every append carries the session's epoch and its predecessor's `seq`. An answer that was lost is asked for again with
the same batch; Redis sees that it has it already. While Redis is away events wait, up to a bound; what overflows is
announced as an interruption.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from reference_backend import keys, messages, scripts
from reference_backend.messages import Observed
from reference_backend.redis_access import UNREACHABLE
from reference_backend.session import rfc3339
from reference_backend.settings import Settings

log = logging.getLogger(__name__)

BATCH = 500
FEEDS_A_TICK = 200
TICK_S = 0.008
RETRY_S = 0.1
OVERFLOWED = "more events than Redis took"


class Feed:
    """What one gadget observed and what of it is in the stream. Made by `Appender.open`.

    Attributes:
        seq: the last number that is in the stream for certain.
        asked: how many were sent whose answer was lost: the same ones have to be sent again.
        size: bytes that wait.
        held: nothing is sent at present; what comes waits.
        refused: why nothing more is appended; "" while it is.
    """

    __slots__ = (
        "_lost_since",
        "appender",
        "asked",
        "doubted",
        "epoch",
        "held",
        "idle",
        "pending",
        "refused",
        "seq",
        "session_id",
        "size",
    )

    def __init__(self, appender: "Appender", session_id: str, epoch: int, seq: int) -> None:
        self.appender = appender
        self.session_id = session_id
        self.epoch = epoch
        self.seq = seq
        self.asked = 0
        self.doubted = 0
        self.pending: deque[Observed] = deque()
        self.size = 0
        self.held = True
        self.refused = ""
        self.idle = asyncio.Event()
        self.idle.set()
        self._lost_since = 0.0

    def offer(self, observed: Observed) -> None:
        """Append this soon; if too much waits already, an interruption will stand for it."""
        if self.refused:
            return
        self.announce_loss()
        if self._lost_since or not self.appender.has_room(self, observed.size):
            self.appender.dropped += 1
            self._lost_since = self._lost_since or time.time()
            return
        self._take(observed)

    def announce_loss(self) -> None:
        """Once there is plenty of room again, an interruption stands for what was dropped: one, and not many."""
        if self._lost_since and self.appender.has_room(self, share=0.5):
            since, until = rfc3339(self._lost_since), rfc3339(time.time())
            self._lost_since = 0.0
            self._take(messages.interruption(self.session_id, since, until, OVERFLOWED))

    def appended(self, count: int) -> None:
        """The first `count` of those that wait need not be sent any more."""
        for _ in range(min(count, len(self.pending))):
            size = self.pending.popleft().size
            self.size -= size
            self.appender.waiting_bytes -= size

    @property
    def complete(self) -> bool:
        """Whether all that was offered is in the stream."""
        return not (self.refused or self.pending or self._lost_since)

    def release(self) -> None:
        """From now on events go to the stream: the session exists."""
        self.held = False
        if self.pending:
            self.appender.wake(self)

    def begin_anew(self, epoch: int, seq: int) -> None:
        """Go on after `seq` of another stream."""
        self.epoch, self.seq = epoch, seq
        self.release()

    def refuse(self, why: str) -> None:
        """Nothing more will be appended; what waited is dropped."""
        self.refused = why
        self.appender.forget(self)
        self.appended(len(self.pending))
        self.idle.set()

    async def flushed(self) -> None:
        """Wait until all that was offered is in the stream, or refused."""
        await self.idle.wait()

    def _take(self, observed: Observed) -> None:
        self.pending.append(observed)
        self.size += observed.size
        self.appender.waiting_bytes += observed.size
        self.idle.clear()
        if not self.held:
            self.appender.wake(self)


class Appender:
    """All feeds of this replica. `run` sends them and must be running.

    Attributes:
        waiting_bytes: what waits, of all feeds.
        on_refused: called with a feed whose epoch is over.
        on_end_lost: called with a feed whose last message Redis does not have any more; it is held then.
        may_append: whether this replica may act as an owner.
    """

    def __init__(self, redis: Redis, settings: Settings, on_appended: Callable[[str], None]) -> None:
        self._redis = redis
        self._length = settings.stream_events
        self._wait_s = settings.redis_wait_s
        self._on_appended = on_appended
        self._feeds: set[Feed] = set()
        self._ready: dict[Feed, None] = {}
        self._some = asyncio.Event()
        self._pending_max = settings.pending_events
        self._pending_bytes = settings.pending_bytes
        self._waiting_bytes = settings.waiting_bytes
        self._stuck = False
        self.waiting_bytes = 0
        self.appended = 0
        self.dropped = 0
        self.on_refused: Callable[[Feed], None] = lambda _feed: None
        self.on_end_lost: Callable[[Feed], None] = lambda _feed: None
        self.may_append: Callable[[], bool] = lambda: True

    def open(self, session_id: str, epoch: int, seq: int) -> Feed:
        """A feed that goes on after `seq`; held back until it is released."""
        feed = Feed(self, session_id, epoch, seq)
        self._feeds.add(feed)
        return feed

    def has_room(self, feed: Feed, size: int = 0, share: float = 1.0) -> bool:
        """Whether one more of so many bytes may wait, within this share of all bounds."""
        return (
            len(feed.pending) < self._pending_max * share
            and feed.size + size <= self._pending_bytes * share
            and self.waiting_bytes + size <= self._waiting_bytes * share
        )

    def wake(self, feed: Feed) -> None:
        """This feed has something to send."""
        self._ready[feed] = None
        self._some.set()

    def forget(self, feed: Feed) -> None:
        """This feed has nothing to send any more."""
        self._ready.pop(feed, None)
        self._feeds.discard(feed)

    def verify(self) -> None:
        """Ask Redis for every feed whether its stream still ends where it did: a batch without messages does that."""
        for feed in self._feeds:
            if not feed.held:
                self.wake(feed)

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._ready:
                began = time.monotonic()
                if not self.may_append():
                    await asyncio.sleep(RETRY_S)
                    continue
                feeds = list(islice(self._ready, FEEDS_A_TICK))
                try:
                    await self._send(feeds)
                except (*UNREACHABLE, ResponseError) as error:
                    for feed in feeds:
                        feed.doubted = feed.asked
                    if not self._stuck:
                        log.warning("Events wait for Redis: %s", error or type(error).__name__)
                    self._stuck = True
                    await asyncio.sleep(RETRY_S)
                    continue
                self._stuck = False
                # Feeds that become ready meanwhile share the next round trip.
                await asyncio.sleep(max(0.0, TICK_S - (time.monotonic() - began)))

    async def _send(self, feeds: list[Feed]) -> None:
        batches = []
        async with self._redis.pipeline(transaction=False) as pipe:
            for feed in feeds:
                feed.asked = feed.asked or min(len(feed.pending), BATCH)
                batch = [o.numbered(feed.seq + n) for n, o in enumerate(islice(feed.pending, feed.asked), 1)]
                batches.append(len(batch))
                names = keys.epoch(feed.session_id), keys.events(feed.session_id)
                pipe.execute_command(
                    "EVALSHA", scripts.APPEND.sha, 2, *names, feed.epoch, feed.seq, self._length, *batch
                )
            # One deadline for all answers; one for each, as the client would have it, costs more than reading them.
            async with asyncio.timeout(self._wait_s):
                answers = await pipe.execute(raise_on_error=False)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await self._redis.script_load(scripts.APPEND.body)
        for feed, count, answer in zip(feeds, batches, answers, strict=True):
            self._settle(feed, count, answer)

    def _settle(self, feed: Feed, count: int, answer: bytes | Exception) -> None:
        if isinstance(answer, NoScriptError):
            return  # nothing ran; the same batch goes again
        if isinstance(answer, Exception):
            raise answer
        feed.asked, doubted, feed.doubted = 0, feed.doubted, 0
        if answer == b"ok":
            feed.seq += count
            self.appended += count
            feed.appended(count)
            feed.announce_loss()
            if count:
                self._on_appended(feed.session_id)
        elif answer == b"elsewhere":
            self._hold(feed, doubted)
            return
        else:
            self._refuse(feed, answer.decode())
        if not feed.pending:
            feed.idle.set()
            self._ready.pop(feed, None)

    def _hold(self, feed: Feed, doubted: int) -> None:
        """The end of the stream is lost. What was sent before without an answer may have been seen: it is not repeated.

        The interruption with which the next stream begins stands for it.
        """
        log.warning("Session %s: what was appended last, %d, is not in Redis", feed.session_id, feed.seq)
        feed.appended(doubted)
        if not feed.pending:
            feed.idle.set()
        feed.held = True
        self._ready.pop(feed, None)
        self.on_end_lost(feed)

    def _refuse(self, feed: Feed, why: str) -> None:
        log.warning("Append to session %s refused (%s): epoch %d, seq %d", feed.session_id, why, feed.epoch, feed.seq)
        feed.refuse(why)
        self.on_refused(feed)
