"""What the tail says to watchers when it cannot simply go on."""

from typing import Any, cast

import msgspec
import pytest

from reference_backend.followed import Followed, Watcher
from reference_backend.frames import Batch
from reference_backend.settings import Settings
from reference_backend.tail import RESTARTING, Tail

ID = "5f0f1f5e-0000-4000-8000-000000000004"


class FakeChannel:
    """Keeps what was written, and how it was closed."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.code = 0

    def write(self, batch: Batch) -> int:
        self.messages += map(msgspec.json.decode, batch.messages)
        return 0

    def finish(self, code: int, _reason: str) -> None:
        self.code = code

    async def drained(self) -> None:
        return

    def drop(self) -> None:
        return


@pytest.fixture
def tail() -> Tail:
    nothing = cast(Any, None)
    return Tail(nothing, nothing, "me", Settings())


def watching(tail: Tail, seq: int, *, live: bool = True, stream: str = "S") -> FakeChannel:
    """A watcher who has everything up to `seq`, of a session of which that was read."""
    channel = FakeChannel()
    watcher = Watcher(channel, seq)
    watcher.live, watcher.stream = live, stream
    tail._followed.setdefault(ID, Followed("S", seq)).watchers[watcher] = None
    return channel


def entries(*numbers: int) -> list[Any]:
    return [(b"%d-0" % seq, {b"message": b'{"type":"event","seq":%d}' % seq}) for seq in numbers]


def test_what_follows_is_written(tail: Tail) -> None:
    channel = watching(tail, 5)
    tail._read(ID, entries(6, 7))
    assert ([message["seq"] for message in channel.messages], channel.code) == ([6, 7], 0)


def test_a_watcher_here_fell_behind_what_redis_keeps_and_is_sent_to_where_the_history_is_asked(tail: Tail) -> None:
    channel = watching(tail, 5)
    tail._read(ID, entries(9, 10))
    assert (channel.messages, channel.code) == ([], RESTARTING)


def test_what_is_not_kept_of_a_stream_that_was_not_read_yet_is_a_gap(tail: Tail) -> None:
    channel = watching(tail, 0)
    tail._read(ID, entries(3, 4))
    gap, *events = channel.messages
    assert (gap["type"], gap["from"], gap["to"]) == ("gap", 1, 2)
    assert ([message["seq"] for message in events], channel.code) == ([3, 4], 0)


def test_another_stream_is_told_on_the_open_connection_and_given_from_its_beginning(tail: Tail) -> None:
    channel = watching(tail, 5)
    tail._begin_anew(ID, tail._followed[ID], "T")
    tail._read(ID, entries(1, 2))
    told, *events = channel.messages
    assert (told["type"], told["stream"], told["seq"], told["recovered"]) == ("subscribed", "T", 0, False)
    assert ([message["seq"] for message in events], channel.code) == ([1, 2], 0)


def test_who_is_still_given_the_former_stream_has_to_come_back_and_who_is_in_the_next_one_has_not(tail: Tail) -> None:
    former, next_ = watching(tail, 5, live=False), watching(tail, 5, live=False, stream="T")
    tail._begin_anew(ID, tail._followed[ID], "T")
    assert (former.code, next_.code) == (RESTARTING, 0)
    assert former.messages == next_.messages == []


def test_whoever_reads_a_stream_that_goes_on_otherwise_has_to_come_back(tail: Tail) -> None:
    late = watching(tail, 5, live=False)
    tail._begin_anew(ID, tail._followed[ID], "S")
    assert late.code == RESTARTING
