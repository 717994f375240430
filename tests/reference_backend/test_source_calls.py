"""Sources through the calls of a replica: which one a client gets, how its session ends, what is left then."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import httpx
import msgspec
import pytest
import pytest_asyncio
from backend.service import TIMING, WITHIN_S
from backend.sources import KUBECTL, FakeKubectl, recorded
from websockets.asyncio.client import connect

from limpet.clock import eventually
from limpet.targets.local import programs
from reference_backend.settings import Settings

SHARED_DB = 2
DBS = range(3, 16)  # one for each replica: else they would take over from each other
GONE_WITHIN_S = 3.0  # a grace of a second, and time for a busy machine


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica with a Redis database of its own."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    kubectl: FakeKubectl

    async def create(self, **body: Any) -> dict[str, Any]:
        answer = await self.http.post("/api/sessions", json=body)
        assert answer.status_code == 201, answer.text
        return cast("dict[str, Any]", answer.json())

    async def refused(self, **body: Any) -> tuple[int, str, str]:
        """Status, field and message."""
        answer = await self.http.post("/api/sessions", json=body)
        error = answer.json()["error"]
        return answer.status_code, error["field"], error["message"]

    async def streamed(self, session_id: str, count: int = 1_000) -> list[Any]:
        """What stands in its stream, to its end or to so many events."""
        url = f"{str(self.http.base_url).replace('http', 'ws').rstrip('/')}/ws/{session_id}?after=0"
        received = []
        async with asyncio.timeout(WITHIN_S), connect(url) as watcher:
            async for message in watcher:
                received.append(msgspec.json.decode(message))
                if len(received) > count:
                    break
        return received[1:]

    async def ended(self, session_id: str) -> dict[str, Any]:
        async def over() -> dict[str, Any] | None:
            found = cast("dict[str, Any]", (await self.http.get(f"/api/sessions/{session_id}")).json())
            return None if found["status"] == "running" else found

        return await eventually(over, within_s=WITHIN_S, what="the session's end")


Start = Callable[..., Awaitable[Replica]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def start(valkey_port: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Start]:
    """Starts replicas that may select these sources."""
    databases = iter(DBS)
    async with contextlib.AsyncExitStack() as stack:

        async def make(sources: str, path: str | None = None, database: int | None = None) -> Replica:
            """`path` None: the fake kubectl is on it; `database` None: one that no other replica has."""
            notes = tmp_path_factory.mktemp("kubectl")
            database = next(databases) if database is None else database
            own = {
                "REDIS_URL": f"redis://127.0.0.1:{valkey_port}/{database}",
                "PORT": "0",
                "PATH": f"{KUBECTL}{os.pathsep}{os.environ['PATH']}" if path is None else path,
                "FAKE_KUBECTL_NOTES": str(notes),
                "BACKEND_SOURCES": sources,
            } | {f"BACKEND_{name.upper()}": str(value) for name, value in TIMING.items()}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "reference_backend",
                env=programs.surroundings(own),
                stdout=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(ended, process)
            assert process.stdout is not None
            async for line in process.stdout:
                if b"Serving on " in line:
                    break
            stack.enter_context(reading(process.stdout))
            url = line.decode().rsplit(" ", 1)[1].strip()
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=WITHIN_S))

            async def ready() -> bool:
                return (await http.get("/ready")).is_success

            await eventually(ready, within_s=WITHIN_S, what=f"{url} is ready")
            return Replica(process, http, FakeKubectl(notes))

        yield make


async def ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


@contextlib.contextmanager
def reading(stream: asyncio.StreamReader) -> Iterator[None]:
    """Nobody may wait for a log that nobody reads."""
    task = asyncio.create_task(stream.read())
    yield
    task.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replica(start: Start) -> AsyncIterator[Replica]:
    """One that may use all sources; kubectl is the default."""
    replica = await start("kubectl,host,synthetic")
    yield replica
    assert replica.kubectl.alive() == []


async def test_of_the_sources_of_a_setting_the_first_is_the_default(replica: Replica) -> None:
    assert (await replica.create(type="snapshot_process", namespace="demo"))["source"] == "kubectl"
    for source in ("host", "synthetic"):
        assert (await replica.create(type="snapshot_process", source=source))["source"] == source


async def test_the_catalogue_says_which_source_has_a_gadget(replica: Replica) -> None:
    shown = {gadget["type"]: gadget["sources"] for gadget in (await replica.http.get("/api/gadgets")).json()}
    assert shown["trace_tcp"] == ["kubectl", "host", "synthetic"]
    assert shown["trace_dns"] == ["kubectl", "synthetic"]
    assert len(shown) == 13


async def test_what_is_not_enabled_is_refused_by_name(lone_url: str) -> None:
    async with httpx.AsyncClient(base_url=lone_url) as http:
        for source in ("host", "kubectl", "magic", ""):
            answer = await http.post("/api/sessions", json={"type": "trace_tcp", "source": source})
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, "source")
            assert "one of: synthetic" in answer.json()["error"]["message"]
        answer = await http.post("/api/sessions", json={"type": "trace_tcp"})
        assert answer.json()["source"] == "synthetic"
        assert (await http.delete(f"/api/sessions/{answer.json()['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("type", {"type": "trace_dns"}),
        ("parameters", {"type": "trace_tcp", "parameters": {"failureOnly": True}}),
        ("podName", {"type": "trace_tcp", "podName": "apples"}),
        ("containerName", {"type": "trace_tcp", "containerName": "app"}),
    ],
)
async def test_what_a_source_does_not_have_is_refused_by_name(
    replica: Replica, field: str, body: dict[str, Any]
) -> None:
    status, named, _ = await replica.refused(source="host", **body)
    assert (status, named) == (400, field)
    made = await replica.create(source="synthetic", **body)
    assert (await replica.http.delete(f"/api/sessions/{made['id']}")).status_code == 204


@pytest.mark.parametrize("name", ["--kubeconfig=x", "-A", "a b", "a;b", "$(x)", "../x"])
async def test_no_name_becomes_a_switch_of_the_command(replica: Replica, name: str) -> None:
    for field in ("namespace", "podName", "containerName"):
        assert (await replica.refused(type="trace_tcp", **{field: name}))[:2] == (400, field)


async def test_a_trace_is_streamed_as_the_command_wrote_it(replica: Replica) -> None:
    made = await replica.create(type="trace_tcp", namespace="demo")
    messages = await replica.streamed(made["id"], 3)
    assert [message["data"] for message in messages] == recorded("trace_tcp")
    assert [message["seq"] for message in messages] == [1, 2, 3]
    assert {message["eventType"] for message in messages} == {"tcp"}
    assert (await replica.http.delete(f"/api/sessions/{made['id']}")).status_code == 204
    assert replica.kubectl.alive() == []


@pytest.mark.parametrize("source", ["kubectl", "host"])
async def test_after_a_snapshot_the_session_is_stopped(replica: Replica, source: str) -> None:
    made = await replica.create(type="snapshot_process", namespace="demo", source=source)
    *snapshots, end = await replica.streamed(made["id"])
    assert all(isinstance(snapshot["data"], list) for snapshot in snapshots)
    if source == "host":
        pids = {row["proc"]["pid"] for snapshot in snapshots for row in snapshot["data"]}
        assert replica.process.pid in pids
    else:
        assert [snapshot["data"] for snapshot in snapshots] == recorded("snapshot_process")
    assert end["type"] == "session_ended"
    session = await replica.ended(made["id"])
    assert (session["status"], session["reason"]) == ("stopped", "completed")


@pytest.mark.parametrize(("how", "events"), [("dies", 0), ("dies-later", 2), ("killed", 1)])
async def test_a_command_that_breaks_off_ends_its_session_with_the_reason(
    replica: Replica, how: str, events: int
) -> None:
    made = await replica.create(type="trace_tcp", namespace=how)
    *streamed, end = await replica.streamed(made["id"])
    assert len(streamed) == events
    session = await replica.ended(made["id"])
    assert session["status"] == "error"
    assert session["reason"] == end["reason"]
    assert session["reason"].startswith("kubectl gadget run trace_tcp: e")


async def test_after_a_delete_nothing_runs_not_even_what_does_not_want_to_end(replica: Replica) -> None:
    made = [await replica.create(type="trace_tcp", namespace=how) for how in ("demo", "silent", "stubborn", "flood")]
    await replica.kubectl.count(5)
    answers = await asyncio.gather(*(replica.http.delete(f"/api/sessions/{one['id']}") for one in made))
    assert {answer.status_code for answer in answers} == {204}
    assert replica.kubectl.alive() == []


async def test_a_session_whose_time_is_over_takes_its_command_along(replica: Replica) -> None:
    made = await replica.create(type="trace_tcp", namespace="silent", timeout=int(0.5e9))
    session = await replica.ended(made["id"])
    assert (session["status"], session["reason"]) == ("stopped", "timed out")
    await replica.kubectl.count(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_replicas_end_is_the_end_of_all_its_commands(start: Start, number: signal.Signals) -> None:
    replica = await start("kubectl")
    for how in ("demo", "stubborn", "silent"):
        await replica.create(type="trace_tcp", namespace=how)
    await replica.kubectl.count(4)
    replica.process.send_signal(number)
    await replica.process.wait()

    async def gone() -> bool:
        return replica.kubectl.alive() == []

    within_s = 0 if number == signal.SIGTERM else GONE_WITHIN_S
    await eventually(gone, within_s=within_s, what="no process of kubectl")


async def test_what_breaks_at_once_where_it_is_started_again_is_orphaned_with_the_reason(start: Start) -> None:
    owner = await start("kubectl", database=SHARED_DB)
    other = await start("kubectl", path="/nowhere", database=SHARED_DB)
    made = await owner.create(type="trace_tcp", namespace="demo")
    await owner.kubectl.count(1)
    owner.process.kill()

    async def orphaned() -> bool:
        session = (await other.http.get(f"/api/sessions/{made['id']}")).json()
        return session["status"] == "orphaned" and "kubectl is not on the PATH" in (session["reason"] or "")

    await eventually(orphaned, within_s=WITHIN_S, what="the session is orphaned, with the reason")
    assert (await other.http.get("/internal/status")).json()["gadgets"] == []
    assert (await other.http.delete(f"/api/sessions/{made['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("given", "said"), [("synthetic,magic", "magic is no source"), (" , ", "nothing is no source")]
)
def test_a_wrong_list_of_sources_is_refused(given: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_SOURCES", given)
    with pytest.raises(ValueError, match=f"{said}; there are: synthetic, host, kubectl"):
        Settings()


def test_only_invented_data_is_shown_unless_a_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().source_names == ("synthetic",)
    monkeypatch.setenv("BACKEND_SOURCES", " host, synthetic,")
    assert Settings().source_names == ("host", "synthetic")
