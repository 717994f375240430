"""The history: everything once, whoever writes it, also after the session and its owner are gone."""

import asyncio
from typing import Any

import pytest
from backend.service import WITHIN_S, Service, messages, until_closed

from limpet.clock import eventually
from limpet.targets.base import Kill, Link, Restart
from reference_backend.history import schema


async def replay(service: Service, url: str, session_id: str, limit: int = 1000) -> list[dict[str, Any]]:
    """All recorded messages of a session, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await service.http.get(f"{url}/api/sessions/{session_id}/events?limit={limit}{cursor}")
        assert answer.status_code == 200, answer.text
        found += answer.json()
        if "X-Next-Cursor" not in answer.headers:
            return found
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"


def streamed(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Recorded messages without what was added for the record."""
    return [{name: value for name, value in message.items() if name != "stream"} for message in recorded]


async def test_replay_equals_what_was_streamed_at_once_after_the_delete(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, type="trace_dns", rate=100)
    async with service.watch(other, made["id"], "?after=0") as watcher:
        received = (await messages(watcher, 40))[1:]
        await service.delete(other, made["id"])
        received += await until_closed(watcher)
    for url in (one, other):
        assert streamed(await replay(service, url, made["id"], limit=7)) == received


async def test_what_nobody_watched_is_recorded_and_found(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, type="trace_exec", namespace="searched", rate=100)

    async def recorded() -> bool:
        return len(await replay(service, one, made["id"])) >= 30

    await eventually(recorded, within_s=WITHIN_S, what="30 events are recorded")
    await service.delete(one, made["id"])
    recorded_events = [m for m in await replay(service, other, made["id"]) if m["type"] == "event"]
    wanted = {"namespace": "searched", "event_type": "exec", "session_id": made["id"], "limit": "9"}

    async def search(**more: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await service.http.get(f"{other}/api/events", params=wanted | more | cursor)
            assert answer.status_code == 200, answer.text
            found += answer.json()
            if "X-Next-Cursor" not in answer.headers:
                return found
            cursor = {"cursor": answer.headers["X-Next-Cursor"]}

    async def found_all() -> bool:
        return len(await search()) == len(recorded_events)

    await eventually(found_all, within_s=WITHIN_S, what="the search finds every event")
    assert [m["seq"] for m in await search()] == [m["seq"] for m in recorded_events]
    third = recorded_events[2]["timestamp"]
    assert [m["seq"] for m in await search(end_time=third)] == [1, 2]
    assert (await search(start_time=third))[0]["seq"] == 3
    curls = [m["seq"] for m in recorded_events if "curl" in str(m)]
    assert [m["seq"] for m in await search(q="CURL -s")] == curls
    assert await search(q="100%") == []
    assert await search(namespace="elsewhere") == []
    figures = (await service.http.get(f"{one}/api/sessions/{made['id']}/stats")).json()
    assert figures["types"] == {"exec": len(recorded_events), "session_ended": 1}
    assert (figures["firstSeq"], figures["lastSeq"], figures["gaps"]) == (1, len(recorded_events) + 1, [])


async def test_a_stream_that_redis_no_longer_has_is_resumed_from_the_history(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, rate=100)
    async with service.watch(one, made["id"], "?after=0") as watcher:
        received = (await messages(watcher, 25))[1:]
        await service.delete(one, made["id"])
        received += await until_closed(watcher)
    await replay(service, one, made["id"])
    await service.redis.delete(f"events:{made['id']}", f"stream:{made['id']}")
    async with service.watch(other, made["id"], "?after=3") as watcher:
        subscribed, *again = await until_closed(watcher)
        assert watcher.close_code == 1000
    assert (subscribed["recovered"], again) == (True, received[3:])


async def test_what_redis_trimmed_of_a_running_session_comes_from_the_history(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, rate=100)
    async with service.watch(one, made["id"], "?after=0") as watcher:
        await messages(watcher, 25)
    recorded = await replay(service, one, made["id"])
    await service.redis.xtrim(f"events:{made['id']}", minid=f"{recorded[-1]['seq']}-0", approximate=False)
    async with service.watch(other, made["id"], "?after=0") as watcher:
        subscribed, *following = await messages(watcher, 60)
    await service.delete(one, made["id"])
    assert subscribed["recovered"]
    assert [m["seq"] for m in following] == list(range(1, 60))


async def test_a_session_without_events_has_an_empty_record_and_an_unknown_one_none(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, rate=0.01)
    assert await replay(service, other, made["id"]) == []
    await service.delete(one, made["id"])
    unknown = f"{other}/api/sessions/5f0f1f5e-0000-4000-8000-0000000000ff"
    assert (await service.http.get(f"{unknown}/events")).status_code == 404
    assert (await service.http.get(f"{unknown}/stats")).status_code == 404


async def test_the_database_being_away_stops_nothing_and_nothing_is_missed(own_service: Service) -> None:
    service = own_service
    one, other = await service.urls()
    pods = await service.pods()
    made = await service.create(one, rate=100)
    for pod in pods:
        await service.target.act(Link(pod.name, "postgres", "cut"))
    during = await service.create(other, rate=100)
    async with service.watch(other, made["id"]) as watcher:
        await messages(watcher, 50)
    answer = await service.http.get(f"{one}/api/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "history_unavailable")
    assert await service.delete(one, during["id"]) == 204
    await service.target.act(Restart("postgres", hard=True))
    for pod in pods:
        await service.target.act(Link(pod.name, "postgres", "pass"))
    for session in (made, during):
        await service.delete(one, session["id"])

        async def complete(session_id: str = session["id"]) -> bool:
            answer = await service.http.get(f"{other}/api/sessions/{session_id}/events")
            return answer.is_success and answer.json()[-1]["type"] == "session_ended"

        await eventually(complete, within_s=WITHIN_S, what="the record is complete")
        recorded = await replay(service, other, session["id"])
        assert [m["seq"] for m in recorded] == list(range(1, len(recorded) + 1))


async def test_the_tail_of_a_session_whose_owner_was_killed_is_written_by_another(own_service: Service) -> None:
    service = own_service
    victim, survivor = await service.pods()
    made = await service.create(f"http://{victim.address}", rate=100)
    url = f"http://{survivor.address}"
    async with service.watch(url, made["id"], "?after=0") as watcher:
        received = (await messages(watcher, 120))[1:]
        await service.target.act(Kill(victim.name))
        await asyncio.sleep(0.1)

    async def written() -> list[Any]:
        wanted = {"session_id": made["id"], "limit": "10000"}
        answer = await service.http.get(f"{url}/api/events", params=wanted)
        found: list[Any] = answer.json() if answer.is_success else []
        return found if len(found) >= len(received) else []

    found = await eventually(written, within_s=WITHIN_S, what="the events are searchable")
    assert [m["data"]["n"] for m in found][: len(received)] == [m["data"]["n"] for m in received]


class FakeConnection:
    """A server that has TimescaleDB, as far as the schema asks."""

    def __init__(self, *, installed: bool | None) -> None:
        self.installed = installed
        self.statements: list[str] = []

    def transaction(self) -> "FakeConnection":
        return self

    async def __aenter__(self) -> None:
        return

    async def __aexit__(self, *_: object) -> None:
        return

    async def execute(self, statement: str, *_: object) -> None:
        self.statements.append(statement)

    async def fetchval(self, _query: str) -> bool | None:
        return self.installed


@pytest.mark.parametrize("installed", [True, False])
async def test_events_are_a_hypertable_where_timescaledb_is_there(installed: bool) -> None:  # noqa: FBT001 - a parameter
    connection = FakeConnection(installed=installed)
    assert await schema.create(connection)
    assert schema.HYPERTABLE in connection.statements
    assert ("create extension if not exists timescaledb" in connection.statements) is not installed
    assert any("primary key (session_id, stream, seq, at)" in statement for statement in connection.statements)
    assert "pg_advisory_xact_lock" in connection.statements[0]


async def test_events_are_an_indexed_table_where_it_is_not() -> None:
    connection = FakeConnection(installed=None)
    assert not await schema.create(connection)
    assert schema.HYPERTABLE not in connection.statements
    assert any("primary key (session_id, stream, seq)" in statement for statement in connection.statements)
