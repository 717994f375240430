"""One replica: all parts put together, from start to stop."""

import asyncio
import contextlib
import functools
import logging
import math
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from reference_backend import keys, redis_sentinel
from reference_backend.affinity import Affinity
from reference_backend.api.history import HistoryCalls
from reference_backend.api.page import Page
from reference_backend.api.peers import PeerCalls
from reference_backend.api.sessions import SessionCalls
from reference_backend.api.system import SystemCalls
from reference_backend.app import App
from reference_backend.appender import Appender
from reference_backend.ending import end
from reference_backend.history.database import Database
from reference_backend.history.reader import Reader
from reference_backend.history.writer import Writer
from reference_backend.lease import Lease
from reference_backend.lifecycle import Lifecycle
from reference_backend.locks import Locks
from reference_backend.membership import Membership
from reference_backend.metrics import Metric
from reference_backend.ownership import Ownership
from reference_backend.redis_access import UNREACHABLE, connect
from reference_backend.releases import Releases
from reference_backend.rollover import Rollover
from reference_backend.runner import Runner
from reference_backend.sections import Sections
from reference_backend.server import Server
from reference_backend.settings import Settings
from reference_backend.stopping import Stopping
from reference_backend.store import Store
from reference_backend.streams import Streams
from reference_backend.sweeper import Sweeper
from reference_backend.tail import BLOCK_S, Tail
from reference_backend.upkeep import Upkeep
from reference_backend.watch import Watch

log = logging.getLogger(__name__)

AGAIN_S = 0.1
READY_S = 1.0  # what a probe waits as a rule
SERVE_WAIT_S = 5.0  # longer than the server takes to close what is open
LEASE_SCANS = 5
QUIET_SHARE, GIVE_SHARE, LEAVE_SHARE = 0.2, 0.5, 0.8  # of the grace period: for requests, sessions, everything


class Replica:
    """One process of the service. `run` serves until `stop` was called."""

    def __init__(self, settings: Settings) -> None:
        self.instance = str(uuid.uuid4())
        self._settings = settings
        self._stopping = asyncio.Event()
        service = redis_sentinel.parse(settings.redis_url)
        self._primary = redis_sentinel.Primary(service) if service else None
        client = functools.partial(connect, settings, primary=self._primary)
        self._redis = client(connections=settings.redis_connections)
        self._heart = client(connections=1)
        self._feeding = client(connections=1, answer_s=math.inf, retries=0)
        self._blocking = client(connections=1, answer_s=BLOCK_S + settings.redis_wait_s, retries=0)
        self._listening = client(connections=1, answer_s=BLOCK_S + settings.redis_wait_s)

        self.membership = Membership(self._heart, self._redis, self.instance, settings)
        self.database = Database(settings)
        self.streams = Streams(self._redis)
        history_lease = self._lease(keys.HISTORY_LEASE, settings.history_interval_s)
        self.writer = Writer(self._redis, self.streams, self.database, history_lease, settings)
        self.appender = Appender(self._feeding, settings, self.writer.appended)
        self._releases = Releases(self._listening)
        self.locks = Locks(self._redis, self._releases, settings)
        self.store = Store(self._redis, settings)
        self.sections = Sections(self.store, self.locks)
        self.runner = Runner(self.appender)
        self.rollover = Rollover(self.sections, self.runner, self.writer.appended)
        self.stopper = Stopping(self.locks, self.sections, self.runner, self.membership, settings)
        keep_s = settings.ended_keep_s
        self.lifecycle = Lifecycle(
            self.store, self.locks, self.sections, self.stopper, self.runner, membership=self.membership, keep_s=keep_s
        )
        self.upkeep = Upkeep(self.store, self.sections, self.stopper, self.runner, self.membership, keep_s=keep_s)
        self.ownership = Ownership(
            self._redis,
            self.store,
            self.locks,
            self.sections,
            self.runner,
            stopping=self.stopper,
            membership=self.membership,
            settings=settings,
            on_appended=self.writer.appended,
        )
        sweep_lease = self._lease(keys.SWEEP_LEASE, settings.takeover_scan_s)
        self.sweeper = Sweeper(self.store, self.upkeep, self.membership, sweep_lease, scan_s=settings.takeover_scan_s)
        self.affinity = Affinity(self._redis, self.instance, settings)
        self.tail = Tail(self._redis, self._blocking, self.instance, settings)
        reader = Reader(self.database, self.writer, search_s=settings.search_wait_s)
        self.watch = Watch(self.streams, self.tail, self.affinity, reader, self.instance)
        self._leases = (history_lease, sweep_lease)

        self.runner.on_ended = self.stopper.gadget_ended
        self.appender.may_append = lambda: self.membership.lease_good
        self.appender.on_end_lost = self.rollover.end_lost
        self.tail.on_reconnected = self._reconnected
        self.lifecycle.place = self.ownership.balance.place
        self.lifecycle.placed = self.ownership.placed
        self.membership.on_fence = self.ownership.takeover.fence
        self.membership.owns = lambda: [session.id for session in self.runner.sessions()]
        figures, balance = self._metrics(), self.ownership.balance
        system = SystemCalls(self.membership, settings, figures, self._not_ready, self._status, balance=balance)
        calls = (
            SessionCalls(self.store, self.lifecycle, self.stopper, settings, migration=self.ownership.migration),
            PeerCalls(self.ownership, settings),
            HistoryCalls(reader, self.store),
            system,
            Page(),
        )
        self.app = App([route for call in calls for route in call.routes()], self.watch)
        self.server = Server(self.app, self.instance, settings)

    async def run(self) -> None:
        """Serve until told to stop. Raises OSError: the port cannot be taken."""
        listener = self.server.listen()
        self.membership.address = self._address(listener)
        log.info("Session store initialized with instance ID: %s", self.instance)
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "heartbeat": self.membership.run,
            "lease": self.membership.watch_lease,
            "appender": self.appender.run,
            "tail": self.tail.run,
            "releases": self._releases.run,
            "affinity": self.affinity.run,
            "affinity renewal": self.affinity.renew,
            "sweeper": self.sweeper.run,
            "takeover": self.ownership.takeover.run,
            "database": self.database.run,
            "history": self.writer.run,
        }
        if self._primary is not None:
            parts["primary"] = self._primary.follow
        # A peer takes an address with a heartbeat that refuses connections for that of a dead replica.
        serving = asyncio.create_task(self.server.serve([listener]))
        await self.server.listening.wait()
        tasks = [asyncio.create_task(_for_ever(name, part), name=name) for name, part in parts.items()]
        log.info("Serving on %s", self.membership.address)
        await self._stopping.wait()
        try:
            async with asyncio.timeout(self._settings.grace_period_s * LEAVE_SHARE):
                await self._leave()
        except TimeoutError:
            log.warning("Stopping took too long; what is left goes with the leases")
        self.ownership.gone = True
        self.server.stop()
        await end(tasks)
        await asyncio.wait([serving], timeout=SERVE_WAIT_S)
        await end([serving])
        await self._close()
        log.info("Stopped")

    def stop(self) -> None:
        """Stop: not ready at once; then sessions, requests under way, streams, keys, in this order."""
        log.info("Stopping")
        self._stopping.set()

    async def _leave(self) -> None:
        grace_s = self._settings.grace_period_s
        await self.ownership.leave(grace_s * GIVE_SHARE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s * QUIET_SHARE):
                await self.app.quiet(self._settings.quiet_s)
        self.watch.closing = True
        await self.ownership.leave(grace_s * GIVE_SHARE)  # what was made for this replica meanwhile
        orphans = await self.upkeep.give_up("owner stopped", flush_s=self._settings.owner_stop_wait_s)
        self.tail.close_all()
        if self.database.ready:
            await self.writer.write()
        for lease in self._leases:
            await lease.leave()
        await self.affinity.leave()
        await self.membership.leave(orphans=orphans)

    async def _close(self) -> None:
        await self.ownership.close()
        await self.sections.close()
        await self._releases.close()
        await self.database.close()
        for client in (self._redis, self._heart, self._feeding, self._blocking, self._listening):
            await client.aclose()
        if self._primary is not None:
            await self._primary.close()

    def _reconnected(self) -> None:
        """Redis was away. It may be another server now, and may have lost something."""
        self.membership.redis_was_away()
        self.appender.verify()
        self.ownership.takeover.look_closely()

    async def _not_ready(self) -> str:
        if self._stopping.is_set():
            return "stopping"
        try:
            async with asyncio.timeout(READY_S):
                await self._redis.ping()
        except UNREACHABLE as error:
            return f"Redis does not answer: {error or type(error).__name__}"
        return "" if self.membership.joined else "no heartbeat written yet"

    def _status(self) -> dict[str, Any]:
        return {
            "draining": self.ownership.balance.leaving,
            "pod": self._settings.pod_name or socket.gethostname(),
            "watchers": self.tail.watchers,
            "watchedSessions": sorted(self.tail.sessions),
            "gadgets": [{"sessionId": s.id, "type": s.type, "epoch": s.epoch} for s in self.runner.sessions()],
        }

    def _address(self, listener: socket.socket) -> str:
        host, port = listener.getsockname()[:2]
        host = self._settings.advertise_host or host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - what is asked is whether it is this
            host = socket.gethostbyname(socket.gethostname())
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _lease(self, name: str, interval_s: float) -> Lease:
        return Lease(self._redis, name, self.instance, interval_s * LEASE_SCANS)

    def _metrics(self) -> list[Metric]:
        return [
            Metric("gadgets", "gauge", "gadgets that run here", lambda: len(self.runner.sessions())),
            Metric("watchers", "gauge", "open WebSockets", lambda: self.tail.watchers),
            Metric("requests_under_way", "gauge", "requests being answered", lambda: self.app.under_way),
            Metric("heartbeats", "counter", "heartbeats written", lambda: self.membership.beats),
            Metric("events_appended", "counter", "events appended to streams", lambda: self.appender.appended),
            Metric("events_dropped", "counter", "events that overflowed", lambda: self.appender.dropped),
            Metric("events_delivered", "counter", "events sent to watchers", lambda: self.tail.delivered),
            Metric("watchers_too_slow", "counter", "watchers closed with 4408", lambda: self.tail.too_slow),
            Metric("bytes_waiting", "gauge", "bytes that wait for Redis", lambda: self.appender.waiting_bytes),
            Metric("streams_begun_anew", "counter", "streams whose end Redis lost", lambda: self.rollover.begun),
            Metric("events_not_recorded", "counter", "gone before they were recorded", lambda: self.writer.lost),
            Metric("events_recorded", "counter", "events written to the history", lambda: self.writer.written),
            Metric("history_lagging", "gauge", "1 while the history cannot be written", lambda: self.writer.lagging),
            Metric("locks_waited", "counter", "locks that had to be waited for", lambda: self.locks.waited),
            Metric("locks_refused", "counter", "locks not had in time", lambda: self.locks.refused),
            Metric("owners_overruled", "counter", "owners that did not answer", lambda: self.stopper.overruled),
            *self.ownership.metrics(),
        ]


async def _for_ever(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part, and run it again when it breaks: no error ends a replica."""
    while True:
        try:
            return await part()
        except UNREACHABLE:
            pass  # the heartbeat says so, once
        except Exception:
            log.exception("%s broke; it starts again", name)
        await asyncio.sleep(AGAIN_S)
