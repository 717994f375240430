"""When a replica takes another one for dead, and when it does not."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest_asyncio
from backend.service import WITHIN_S

from limpet.clock import eventually
from reference_backend.membership import Member
from reference_backend.peer_links import PeerLinks

HELLO = b"HTTP/1.1 200 OK\r\nx-backend-instance: %b\r\ntransfer-encoding: chunked\r\n\r\n"


class Other:
    """Answers as a replica does, or as some other process would."""

    def __init__(self) -> None:
        self.instance = "other"
        self.tells = b'{"gadgets":3,"sources":["synthetic"],"draining":false}'
        self.connections: list[asyncio.StreamWriter] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None

    async def end_connections(self) -> None:
        for writer in self.connections:
            writer.close()
        self.connections.clear()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.end_connections()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.connections.append(writer)
            writer.write(HELLO % self.instance.encode() + b"%x\r\n%b\n\r\n" % (len(self.tells) + 1, self.tells))


class Story:
    """One replica that watches one other."""

    def __init__(self) -> None:
        self.other = Other()
        self.links = PeerLinks("self")
        self.dead: list[str] = []
        self.links.on_dead = self.dead.append

    def seen_alive(self) -> None:
        member = Member("other", time.time(), f"http://127.0.0.1:{self.other.port}")
        self.links.update([member], time.monotonic())

    async def linked(self, times: int = 1) -> None:
        async def has_told() -> bool:
            return len(self.other.connections) == times and [p.work for p in self.links.able] == [3]

        await eventually(has_told, within_s=WITHIN_S, what="the other one has told")

    async def found_dead(self) -> None:
        async def found() -> bool:
            return self.dead == ["other"]

        await eventually(found, within_s=WITHIN_S, what="the other one is found dead")
        assert self.links.able == []


@pytest_asyncio.fixture(loop_scope="session")
async def story() -> AsyncIterator[Story]:
    story = Story()
    await story.other.listen()
    yield story
    await story.links.close()
    await story.other.close()


async def test_an_end_and_then_a_refused_connection_is_death(story: Story) -> None:
    story.seen_alive()
    await story.linked()
    await story.other.refuse()
    await story.other.end_connections()
    await story.found_dead()


async def test_an_end_alone_is_not_death(story: Story) -> None:
    story.seen_alive()
    await story.linked()
    await story.other.end_connections()
    await story.linked()
    assert story.dead == []


async def test_another_process_at_the_same_address_is_death(story: Story) -> None:
    story.seen_alive()
    await story.linked()
    story.other.instance = "its successor"
    await story.other.end_connections()
    await story.found_dead()


async def test_a_replica_that_was_never_met_is_not_dead_because_it_refuses(story: Story) -> None:
    await story.other.refuse()
    story.seen_alive()
    await asyncio.sleep(0.2)
    assert story.dead == []
    await story.other.listen()
    await story.linked()


async def test_who_says_goodbye_is_not_dead(story: Story) -> None:
    story.other.tells = b'{"gadgets":0,"draining":true,"gone":true}'
    story.seen_alive()

    async def said() -> bool:
        return story.links.draining("other")

    await eventually(said, within_s=WITHIN_S, what="goodbye")
    await story.other.refuse()
    await story.other.end_connections()
    await asyncio.sleep(0.2)
    assert story.dead == []


async def test_a_false_alarm_is_counted_and_from_then_on_only_the_lease_tells(story: Story) -> None:
    before = Member("other", time.time(), f"http://127.0.0.1:{story.other.port}"), time.monotonic()
    story.seen_alive()
    await story.linked()
    await story.other.refuse()
    await story.other.end_connections()
    await story.found_dead()
    story.links.update([before[0]], before[1])  # a look from before it was found dead proves nothing
    assert story.links.false_alarms == 0
    await story.other.listen()
    story.seen_alive()
    assert story.links.false_alarms == 1
    await story.linked()
    await story.other.refuse()
    await story.other.end_connections()
    await asyncio.sleep(0.2)
    assert story.dead == ["other"]


async def test_a_peer_that_leaves_gets_nothing(story: Story) -> None:
    story.other.tells = b'{"gadgets":0,"sources":["synthetic"],"draining":true}'
    story.seen_alive()

    async def said() -> bool:
        return story.links.draining("other")

    await eventually(said, within_s=WITHIN_S, what="it says that it leaves")
    assert story.links.able == []
    story.links.update([], time.monotonic())
    assert not story.links.draining("other")
