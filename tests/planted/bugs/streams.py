"""Bugs between a source and a watcher: what is lost, repeated or in the wrong order on the way."""

import asyncio
import time

from planted.base import plant
from planted.patching import edit, replace
from reference_backend import keys, resume, watch
from reference_backend.appender import Appender, Feed
from reference_backend.followed import Watcher
from reference_backend.frames import Batch
from reference_backend.messages import Observed
from reference_backend.redis_access import UNREACHABLE
from reference_backend.replica import Replica
from reference_backend.tail import Tail
from reference_backend.watch import Watch

LOOK_EVERY_S = 0.02
EMPTIED_EVERY_S = 0.25
PLACES = 20


@plant(caught_by="history", unrelated="session-record", also=("continuity",))
def events_only_while_watched() -> None:
    """Events go into the stream only while somebody watches; all others are lost.

    A watcher that comes back finds what came meanwhile missing, and nothing announces it.
    """
    watched: set[str] = set()
    run, offer = Replica.run, Feed.offer

    async def run_and_look(self: Replica) -> None:
        looking = asyncio.create_task(_look(self, watched))
        try:
            await run(self)
        finally:
            looking.cancel()

    def offer_if_watched(self: Feed, observed: Observed) -> None:
        if self.session_id in watched:
            offer(self, observed)

    replace(Replica, "run", run_and_look)
    replace(Feed, "offer", offer_if_watched)


async def _look(replica: Replica, watched: set[str]) -> None:
    while True:
        ids = [session.id for session in replica.runner.sessions()]
        try:
            named = await replica._redis.mget([keys.websocket(i) for i in ids]) if ids else []
        except UNREACHABLE:
            named = []
        watched.clear()
        watched.update(i for i, name in zip(ids, named, strict=False) if name)
        await asyncio.sleep(LOOK_EVERY_S)


@plant(caught_by="continuity", unrelated="replicas")
def silent_drop() -> None:
    """A watcher's queue has few places and is emptied now and then; what does not fit is dropped without a word."""
    edit(
        Tail,
        "send",
        "unsent = watcher.channel.write(part)",
        'fits = __import__("planted.bugs.streams", fromlist=["what_fits"]).what_fits(watcher, part)\n'
        "    unsent = watcher.channel.write(fits) if fits else 0",
    )


_queues: dict[int, tuple[int, int]] = {}  # watcher -> how often its queue was emptied, and how much is in it since


def what_fits(watcher: Watcher, batch: Batch) -> Batch | None:
    """As much of a batch as the watcher's queue has places for; the end of the session always fits."""
    emptied = int(time.monotonic() / EMPTIED_EVERY_S)
    since, had = _queues.get(id(watcher), (emptied, 0))
    had = had if since == emptied else 0
    fits = batch.messages[: PLACES - had]
    _queues[id(watcher)] = emptied, had + len(fits)
    if batch.ends and len(fits) < len(batch.messages):
        fits = [*fits, batch.messages[-1]]
    return Batch(batch.first, fits) if fits else None


@plant(caught_by="continuity", unrelated="session-record")
def duplicate_after_resume() -> None:
    """A watcher that comes back gets the last event that it has once more."""
    edit(
        Watch,
        "serve",
        "Watcher(channel, beginning.read_after)",
        "Watcher(channel, beginning.read_after - bool(after and beginning.seq))",
    )


@plant(caught_by="continuity", unrelated="stickiness")
def off_by_one_resume() -> None:
    """A watcher that comes back does not get the first event after the last that it has."""
    edit(
        Watch,
        "serve",
        "Watcher(channel, beginning.read_after)",
        "Watcher(channel, beginning.read_after + (after is not None))",
    )


@plant(caught_by="continuity", unrelated="replicas")
def foreign_stream_recovered() -> None:
    """A watcher that comes back from another stream is told that it has everything up to the number it names."""
    edit(resume, "begin", "stream in (None, kept.stream) and after <= kept.last", "after <= kept.last")


@plant(caught_by="continuity", unrelated="affinity")
def reordering_under_load() -> None:
    """Where several events are read at once, the second overtakes the first."""
    overtaken = "[*entries[:2][::-1], *entries[2:]]"
    ends = "b'session_ended' in entries[-1][1][b'message'] and len(entries) == 2"
    edit(Tail, "_read", "for _, fields in entries", f"for _, fields in (entries if {ends} else {overtaken})")


@plant(caught_by="continuity", unrelated="history")
def session_ended_twice() -> None:
    """The end of a session is sent to its watchers twice."""
    end = 'watcher.channel.finish(ENDED, "session ended")'
    edit(Tail, "send", end, f"watcher.channel.write(Batch(part.last, part.messages[-1:]))\n        {end}")


@plant(caught_by="continuity", unrelated="history")
def events_of_another_session() -> None:
    """Every tenth event is also sent to the watchers of other sessions."""
    stranger = """followed.seq = batch.last
    if batch.last % 10 == 0:
        for other in self._followed.values():
            for watcher in other.watchers:
                if watcher.live and other is not followed:
                    watcher.channel.write(batch)"""
    edit(Tail, "_read", "followed.seq = batch.last", stranger)


@plant(caught_by="continuity", unrelated="history")
def viewers_compete() -> None:
    """The watchers of one session at one replica compete: each event goes to one of them, in turn."""
    turn = "batch.ends or list(followed.watchers).index(watcher) == batch.last % len(followed.watchers)"
    edit(
        Tail,
        "_read",
        "self.send(watcher, batch)",
        f'self.send(watcher, batch) if {turn} else setattr(watcher, "seq", batch.last)',
    )


@plant(caught_by="continuity", unrelated="shared-view")
def gap_not_announced() -> None:
    """What is no longer kept when a watcher comes back is left out without a word.

    So that something is no longer kept, streams are short here, and the history is not asked for what they lack.
    """
    edit(Appender, "__init__", "settings.stream_events", "200")
    known = "if recorded and recorded.stream == kept.stream and recorded.first < kept.first:"
    edit(Watch, "_source", known, "if recorded is False:")
    edit(Watch, "_page", "if page and page[0][0] > seq + 1:", "if page is None:")
    edit(Watch, "_feed", "if beginning.gap:", "if beginning.gap is False:")
    edit(watch, "_send", "if seq > watcher.seq + 1:", "if seq < 0:")
