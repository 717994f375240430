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
ELSEWHERE = "elsewhere"  # the script's word for a predecessor that is not there


class Feed:
    """What one gadget observed and what of it is in the stream. Made by `Appender.open`.

    Attributes:
        seq: the last number that is in the stream for certain.
        refused: why nothing more is appended; "" while it is.
    """

    __slots__ = ("_lost_since", "appender", "epoch", "held", "idle", "pending", "refused", "seq", "session_id")

    def __init__(self, appender: "Appender", session_id: str, epoch: int, seq: int) -> None:
        self.appender = appender
        self.session_id = session_id
        self.epoch = epoch
        self.seq = seq
        self.pending: deque[Observed] = deque()
        self.held = True
        self.refused = ""
        self.idle = asyncio.Event()
        self.idle.set()
        self._lost_since = 0.0

    def offer(self, observed: Observed) -> None:
        """Append this soon; if too much waits already, an interruption will stand for it."""
        if self.refused:
            return
        if len(self.pending) >= self.appender.pending_max:
            self.appender.dropped += 1
            self._lost_since = self._lost_since or time.time()
            return
        if self._lost_since:
            since, until = rfc3339(self._lost_since), rfc3339(time.time())
            self.pending.append(messages.interruption(self.session_id, since, until, "more events than Redis took"))
            self._lost_since = 0.0
        self.pending.append(observed)
        self.idle.clear()
        if not self.held:
            self.appender.wake(self)

    def release(self) -> None:
        """From now on events go to the stream: the session exists."""
        self.held = False
        if self.pending:
            self.appender.wake(self)

    def refuse(self, why: str) -> None:
        """Nothing more will be appended; what waited is dropped."""
        self.refused = why
        self.pending.clear()
        self.idle.set()

    async def flushed(self) -> None:
        """Wait until all that was offered is in the stream, or refused."""
        await self.idle.wait()


class Appender:
    """All feeds of this replica. `run` sends them and must be running."""

    def __init__(self, redis: Redis, settings: Settings, on_appended: Callable[[str], None]) -> None:
        self._redis = redis
        self._length = settings.stream_events
        self._wait_s = settings.redis_wait_s
        self._on_appended = on_appended
        self._ready: dict[Feed, None] = {}
        self._some = asyncio.Event()
        self.pending_max = settings.pending_events
        self._stuck = False
        self.appended = 0
        self.dropped = 0
        self.on_refused: Callable[[Feed], None] = lambda _feed: None
        self.may_append: Callable[[], bool] = lambda: True

    def open(self, session_id: str, epoch: int, seq: int) -> Feed:
        """A feed that goes on after `seq`; held back until it is released."""
        return Feed(self, session_id, epoch, seq)

    def wake(self, feed: Feed) -> None:
        """This feed has something to send."""
        self._ready[feed] = None
        self._some.set()

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
                batch = [o.numbered(feed.seq + n) for n, o in enumerate(islice(feed.pending, BATCH), 1)]
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
        if answer == b"ok":
            feed.seq += count
            self.appended += count
            for _ in range(min(count, len(feed.pending))):
                feed.pending.popleft()
            self._on_appended(feed.session_id)
        elif isinstance(answer, NoScriptError):
            return
        elif isinstance(answer, Exception):
            raise answer
        else:
            self._refuse(feed, answer.decode())
        if not feed.pending:
            feed.idle.set()
            self._ready.pop(feed, None)

    def _refuse(self, feed: Feed, why: str) -> None:
        log.warning("Append to session %s refused (%s): epoch %d, seq %d", feed.session_id, why, feed.epoch, feed.seq)
        feed.refuse(why)
        self.on_refused(feed)
