"""A watcher that comes back, against a server that does as it is told; what it recorded is judged."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from limpet import contract as contracts
from limpet import history as histories
from limpet import shipped
from limpet.checkers.connections import Leg, legs
from limpet.clients import follower
from limpet.clients.follower import BACK_OFF_S_MAX, SOON_FOR_S, SOON_S, Follower, pauses_s
from limpet.clients.sessions import User
from limpet.clients.streams import Place, Watcher
from limpet.contract import Contract
from limpet.history import History, Section

Serve = Callable[["Connection"], Awaitable[None]]
SESSION = "7d3"
WITHIN_S = 20.0


class Connection:
    """The server's side of one connection: which it is, what was asked for, and words to answer with."""

    def __init__(self, number: int, socket: ServerConnection) -> None:
        self.number = number
        self.socket = socket
        self.path = socket.request.path if socket.request else ""

    async def say(self, kind: str, seq: int | None = None, **fields: Any) -> None:
        number = {} if seq is None else {"seq": seq}
        await self.socket.send(json.dumps({"type": kind, "sessionId": SESSION} | number | fields))

    async def told(self, seq: int) -> None:
        await self.say("subscribed", seq, stream="01S", recovered=True)

    async def events(self, *numbers: int) -> None:
        for seq in numbers:
            await self.say("event", seq, data={"n": seq})

    async def end(self, seq: int) -> None:
        await self.say("session_ended", seq, reason="stopped")


@asynccontextmanager
async def served(
    by: Serve, record: Path, contract: Contract, *, refusals: int = 0
) -> AsyncIterator[tuple[Follower, str, list[str]]]:
    """A follower, where it is served, and the paths that were asked for after so many refusals."""
    paths: list[str] = []
    refused = iter(range(refusals))

    def let_in(connection: ServerConnection, _: Request) -> Response | None:
        return None if next(refused, None) is None else connection.respond(503, "later")

    async def handle(socket: ServerConnection) -> None:
        connection = Connection(len(paths), socket)
        paths.append(connection.path)
        await by(connection)

    history = History(record, "continuity")
    async with serve(handle, "127.0.0.1", 0, process_request=let_in) as server, asyncio.timeout(WITHIN_S):
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with Follower(Watcher(contract, history, url, whole=True), Random(1)) as follower:
            yield follower, url, paths
        history.close()


@pytest.fixture
def contract() -> Contract:
    return contracts.load(shipped.contract("gadget"))


def recorded(record: Path) -> tuple[Section, list[Leg]]:
    section = histories.read(record)
    assert section.damage == ""
    return section, legs(section)


async def test_it_comes_back_where_it_stood_until_the_end(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        if connection.number == 0:
            await connection.told(3)
            await connection.events(4, 5)
            await connection.socket.close(1012)
        else:
            await connection.told(5)
            await connection.events(6)
            await connection.end(7)
            await connection.socket.close(1000)

    async with served(by, tmp_path / "h", contract) as (follower, _, paths):
        await follower.start(SESSION)
        await follower.ended()
    assert paths == [f"/ws/{SESSION}", f"/ws/{SESSION}?after=5&stream=01S"]
    _, (first, second) = recorded(tmp_path / "h")
    assert (first.after, first.start, first.position, first.code) == (None, 3, 5, 1012)
    assert (second.after, second.asked_stream, second.end and second.end[0], second.code) == (5, "01S", 7, 1000)
    assert first.watcher == second.watcher


async def test_what_was_announced_as_lost_is_not_asked_for_again(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(0)
        if connection.number == 0:
            await connection.say("gap", **{"from": 1, "to": 30})
            await connection.socket.close(1012)
        else:
            await connection.end(31)

    async with served(by, tmp_path / "h", contract) as (follower, _, paths):
        await follower.start(SESSION)
        await follower.ended()
    assert paths[1] == f"/ws/{SESSION}?after=30&stream=01S"


@pytest.mark.parametrize("code", [1000, 4404])
async def test_what_is_final_is_not_asked_for_again(tmp_path: Path, contract: Contract, code: int) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(0)
        await connection.socket.close(code)

    async with served(by, tmp_path / "h", contract) as (follower, _, paths):
        await follower.start(SESSION)
        await follower.ended()
    assert len(paths) == 1


async def test_it_moves_by_choice_and_that_is_its_own_doing(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(connection.number)
        await connection.events(connection.number + 1)
        await connection.socket.wait_closed()

    async with served(by, tmp_path / "h", contract) as (follower, url, paths):
        await follower.start(SESSION, Place(0))
        with closing(History(tmp_path / "other", "x")) as other:
            user = User(contract, other, url)
            user.cookie = "elsewhere"
            await follower.come_back(user, after_s=0.05)
            await user.close()
    assert paths[0] == f"/ws/{SESSION}?after=0"
    assert len(paths) == 2
    section, (first, second) = recorded(tmp_path / "h")
    assert first.code is None
    assert second.code is None
    assert [line.data.get("own") for _, line in section.of("closed")] == [True, True]


async def test_one_who_leaves_does_not_come_back(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(0)
        await connection.socket.wait_closed()

    async with served(by, tmp_path / "h", contract) as (follower, _, paths):
        await follower.start(SESSION)
        await follower.leave()
        await follower.come_back()
    assert len(paths) == 1


async def test_a_refusal_is_tried_again_and_recorded(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(0)
        await connection.end(1)

    async with served(by, tmp_path / "h", contract, refusals=3) as (follower, _, paths):
        await follower.start(SESSION)
        await follower.ended()
    section, _ = recorded(tmp_path / "h")
    assert [op.type for op in section.ops("connect")] == ["fail"] * 3 + ["ok"]
    assert section.ops("connect")[0].data["status"] == 503
    assert len(paths) == 1


async def test_without_resumption_it_begins_from_now_on(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(3)
        await connection.events(4)
        await (connection.socket.close(1012) if connection.number == 0 else connection.end(5))

    assert contract.websocket
    plain = replace(contract, websocket=replace(contract.websocket, resume=None))
    async with served(by, tmp_path / "h", plain) as (follower, _, paths):
        await follower.start(SESSION)
        await follower.ended()
    assert paths == [f"/ws/{SESSION}"] * 2
    assert [leg.after for leg in recorded(tmp_path / "h")[1]] == [None, None]


async def test_messages_of_others_and_of_other_content_are_told_apart(tmp_path: Path, contract: Contract) -> None:
    async def by(connection: Connection) -> None:
        await connection.told(0)
        await connection.socket.send('{"type":"event","seq":1,"sessionId":"7d3","data":{"n":1}}')
        await connection.socket.send('{"data": {"n":1}, "seq":1, "sessionId":"7d3", "type":"event"}')
        await connection.socket.send('{"type":"event","seq":1,"sessionId":"7d3","data":{"n":2}}')
        await connection.socket.send('{"type":"event","seq":1,"sessionId":"8e4","data":{"n":1}}')
        await connection.socket.send("[]")
        await connection.end(2)

    async with served(by, tmp_path / "h", contract) as (follower, _, _):
        await follower.start(SESSION)
        await follower.ended()
    section, _ = recorded(tmp_path / "h")
    one, same, other, stranger, unreadable, _ = [line for _, line in section.of("message")][1:]
    assert one.data["digest"] == same.data["digest"] != other.data["digest"]
    assert (one.data.get("of"), stranger.data.get("of")) == (None, "8e4")
    assert unreadable.op == "unreadable"


def test_it_tries_at_once_then_soon_then_less_and_less_often() -> None:
    pauses: list[float] = []
    tries = pauses_s(Random(1), lambda: sum(pauses) < SOON_FOR_S)
    pauses += islice(tries, 1)
    for _ in range(80):
        pauses.append(next(tries))
    assert pauses[0] == 0.0
    soon = [pause for pause in pauses[1:] if SOON_S[0] <= pause <= SOON_S[1]]
    assert SOON_FOR_S <= sum(soon) < SOON_FOR_S + SOON_S[1] + 0.1
    late = pauses[-10:]
    assert all(BACK_OFF_S_MAX / 2 <= pause <= BACK_OFF_S_MAX for pause in late)
    assert len(set(late)) == 10


def test_the_first_second_is_over_also_when_a_single_try_took_it() -> None:
    _, *pauses = islice(pauses_s(Random(1), lambda: False), 6)
    assert all(SOON_S[1] <= pause for pause in pauses)


@pytest.mark.parametrize("good", [True, False])
async def test_after_a_good_connection_it_begins_anew_and_after_a_bad_one_it_does_not(
    tmp_path: Path, contract: Contract, monkeypatch: pytest.MonkeyPatch, *, good: bool
) -> None:
    waited: list[float] = []

    async def at_once(pause_s: float) -> None:
        waited.append(pause_s)
        await asyncio.sleep(0)

    async def by(connection: Connection) -> None:
        await connection.told(0)
        if good:
            await asyncio.sleep(0.1)  # longer than what counts as a while here; no event comes
        await (connection.end(1) if connection.number == 5 else connection.socket.close(1012))

    monkeypatch.setattr(follower, "SOON_FOR_S", 0.05 if good else 60.0)
    monkeypatch.setattr(follower, "sleep", at_once)
    async with served(by, tmp_path / "h", contract) as (one, _, paths):
        await one.start(SESSION)
        await one.ended()
    assert len(paths) == 6
    tries = waited[::2]  # every other pause is that of a watcher who left by choice
    assert [pause == 0.0 for pause in tries] == [True] + [good] * 5
