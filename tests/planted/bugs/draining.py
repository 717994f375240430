"""Bugs of a drain: what a replica that is asked to stop does to requests, streams and sessions."""

from planted.base import plant
from planted.patching import edit, replace
from reference_backend import appender, server
from reference_backend.drain import Drain
from reference_backend.replica import Replica
from reference_backend.runner import Runner
from reference_backend.tail import Tail

BATCHES_S = 0.2
CUT_S = 0.3


@plant(caught_by="drain", unrelated="replicas")
def drain_with_1001() -> None:
    """Streams are closed with 1001, as web servers do by themselves when they stop.

    For a browser that is the end of a visit: clients that come back after 1012 do not come back.
    """
    edit(Tail, "close_all", '_come_back(watcher, "replica restarting")', 'watcher.channel.finish(1001, "going away")')


@plant(caught_by="drain", unrelated="session-record", also=("continuity", "takeover"))
def drain_loses_last_batch() -> None:
    """A session is handed over as it was when its source was stopped; what was still to be appended is dropped.

    So that there is some each time, events are appended in larger batches. The new owner goes on after what was
    dropped, and nothing says that it is missing.
    """
    replace(appender, "TICK_S", BATCHES_S)
    edit(Runner, "halt", "timeout=within_s", "timeout=0.001")
    edit(Runner, "halt", "running.source.position if running.feed.complete else None", "running.source.position")


@plant(caught_by="drain", unrelated="stickiness")
def ready_until_the_end() -> None:
    """A replica that stops says that it is ready until all is handed over and closed.

    Whoever goes by that sends it new requests all the time, and the last of them fail.
    """
    edit(Replica, "_not_ready", "self._stopping.is_set()", "self.ownership.gone")


@plant(caught_by="drain", unrelated="session-record", also=("continuity", "takeover"))
def sessions_left_to_takeover() -> None:
    """A replica that stops hands nothing over: it gives its sessions up, and whoever finds them takes them over.

    They run on, and what came in between is lost and announced.
    """
    edit(Drain, "give_all", "began_s = time.monotonic()", "return\n    began_s = time.monotonic()")


@plant(caught_by="drain", unrelated="replicas", also=("continuity", "takeover"))
def requests_cut_at_stop() -> None:
    """A replica that stops closes its web server first and waits for no request: what is under way is cut off.

    Its connections to peers end with it, so that they take it for dead while it hands its sessions over.
    """
    edit(Replica, "_leave", "grace_s =", f"self.server.stop()\n    await asyncio.sleep({CUT_S})\n    grace_s =")
    replace(server, "CLOSE_WAIT_S", 0)


@plant(caught_by="drain", unrelated="history", also=("scaling",))
def heartbeat_left_behind() -> None:
    """A replica that stops leaves its heartbeat to its time to live: for as long the others take it for alive."""
    edit(Replica, "_leave", "await self.membership.leave(orphans=orphans)", "pass")
