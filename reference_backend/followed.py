"""One session that somebody here watches: what was read of its stream, and whether Redis still has it so.

After its connection broke, a replica cannot know that Redis is what it was: a failover may have lost the end of a
stream, and somebody may have gone on with the same numbers. So the last message that was read is compared with the one
that has its number now. If they are the same, so is everything before them.
"""

from typing import Literal

from reference_backend.channels import Channel
from reference_backend.streams import Found

Judgement = Literal["same", "lost", "other", "gone"]
"""The stream is what it was; ends before what was read; is another one by now, or goes on otherwise; is gone."""


class Watcher:
    """One connection that follows a session.

    Attributes:
        seq: the last message written, of the stream `stream`.
        live: whether the tail feeds it.
    """

    __slots__ = ("channel", "live", "seq", "stream")

    def __init__(self, channel: Channel, seq: int) -> None:
        self.channel = channel
        self.seq = seq
        self.stream = ""
        self.live = False


class Followed:
    """What is known of a session's stream; `seq` is the last message that was read, `last` its text if it was here."""

    __slots__ = ("_ends_at", "last", "seq", "stream", "watchers")

    def __init__(self, stream: str, seq: int) -> None:
        self.watchers: dict[Watcher, None] = {}
        self.begin(stream, seq)

    def begin(self, stream: str, seq: int) -> None:
        """Go on after `seq` of this stream."""
        self.stream = stream
        self.seq = seq
        self.last: bytes | None = None
        self._ends_at: int | None = None

    def judge(self, found: Found) -> Judgement:
        """What Redis has there now against what was read. A stream that was found short before and grew is another."""
        ends_at, self._ends_at = self._ends_at, None
        if found.stream is None:
            return "gone"
        if found.stream != self.stream:
            return "other"
        if found.message is not None:
            return "same" if self.last in (None, found.message) else "other"
        if not self.seq or found.first > self.seq:
            return "same"  # nothing was read, or it was trimmed as far as that, and what is missing will be told
        if ends_at is not None and found.last > ends_at:
            return "other"
        self._ends_at = found.last
        return "lost"
