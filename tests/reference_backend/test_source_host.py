"""What the host source tells is true: of this process, of its sockets, of what happens to them."""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from backend.sources import Run, session

from limpet.clock import eventually
from reference_backend.catalogue import GADGETS
from reference_backend.session import Session
from reference_backend.sources import SOURCES, connections, host, processes
from reference_backend.sources.base import SourceError
from reference_backend.sources.connections import End, Socket
from reference_backend.sources.host import Host, Table
from reference_backend.sources.processes import Process
from reference_backend.sources.samples import sample

COMMON = {"k8s", "runtime", "proc", "timestamp", "timestamp_raw"}
WITHIN_S = 10.0


def on_host(gadget: str, **changes: Any) -> Session:
    return session(gadget, "host", **changes)


def own_namespace(kind: str) -> int:
    return Path(f"/proc/self/ns/{kind}").stat().st_ino


@pytest_asyncio.fixture(loop_scope="session")
async def tracing() -> AsyncIterator[list[Run]]:
    """What is put in is stopped after the test."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        if not run.task.done():
            await run.stop()


async def test_a_true_connection_is_traced_at_both_ends_from_connect_to_close(tracing: list[Run]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = Run(Host(on_host("trace_tcp")))
        tracing.append(run)
        port = server.getsockname()[1]
        before = time.time()

        def own() -> list[Any]:
            return [event for event in run.events if port in (event["src"]["port"], event["dst"]["port"])]

        async def begun() -> bool:
            with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
                pass  # one from before the first look is not seen
            return bool(own())

        await eventually(begun, within_s=WITHIN_S, what="the first look")
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as accepted:
            client_port = client.getsockname()[1]

            def of(kind: str, source_port: int) -> list[Any]:
                return [e for e in own() if e["type"] == kind and e["src"]["port"] == source_port]

            async def both_begun() -> bool:
                return bool(of("connect", client_port) and of("accept", port))

            await eventually(both_begun, within_s=WITHIN_S, what="connect and accept")
            (connect,) = of("connect", client_port)
            accept = next(e for e in of("accept", port) if e["dst"]["port"] == client_port)
            assert connect["proc"]["pid"] == accept["proc"]["pid"] == os.getpid()
            assert (connect["fd"], connect["accept_fd"]) == (client.fileno(), -1)
            assert (accept["fd"], accept["accept_fd"]) == (-1, accepted.fileno())
            assert connect["dst"]["port"] == port
            assert before < connect["timestamp_raw"] / 1e9 < time.time()

        async def both_closed() -> bool:
            closed = [e for e in own() if e["type"] == "close" and client_port in (e["src"]["port"], e["dst"]["port"])]
            return len(closed) == 2

        await eventually(both_closed, within_s=WITHIN_S, what="close at both ends")


@pytest.mark.parametrize(
    ("only", "kinds"), [({"acceptOnly": True}, {"accept"}), ({"connectOnly": True}, {"connect"}), ({}, {"a", "b"})]
)
async def test_only_what_was_asked_for_is_traced(tracing: list[Run], only: dict[str, bool], kinds: set[str]) -> None:
    run = Run(Host(on_host("trace_tcp", parameters=only)))
    tracing.append(run)
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def seen_some() -> bool:
            with socket.create_connection(server.getsockname()), server.accept()[0]:
                pass
            return len({event["type"] for event in run.events}) >= len(kinds)

        await eventually(seen_some, within_s=WITHIN_S, what="events")
    found = {event["type"] for event in run.events}
    assert found == kinds if only else found <= {"connect", "accept", "close"}


async def test_a_snapshot_of_processes_has_this_one_and_its_child(busy: int) -> None:
    tables = await Run(Host(on_host("snapshot_process"))).ended()
    own = {row["proc"]["pid"]: row for rows in tables for row in rows}
    assert set(own[os.getpid()]) == COMMON
    proc = own[busy]["proc"]
    assert proc["parent"] == {"pid": os.getpid(), "comm": psutil.Process().name()}
    assert proc["creds"] == {"uid": os.getuid(), "gid": os.getgid()}
    assert proc["comm"].startswith("python")
    assert own[os.getpid()]["k8s"]["node"] == os.uname().nodename
    if sys.platform == "linux":
        assert proc["mntns_id"] == own_namespace("mnt")


@pytest.mark.parametrize(
    ("family", "kind", "proto", "state"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "TCP", "LISTEN"),
        (socket.AF_INET6, socket.SOCK_STREAM, "TCP", "LISTEN"),
        (socket.AF_INET, socket.SOCK_DGRAM, "UDP", "CLOSE"),
    ],
)
async def test_a_snapshot_of_sockets_has_one_that_was_just_made(
    family: socket.AddressFamily, kind: socket.SocketKind, proto: str, state: str
) -> None:
    address, version = ("127.0.0.1", 4) if family == socket.AF_INET else ("::1", 6)
    with socket.socket(family, kind) as made:
        try:
            made.bind((address, 0))
        except OSError:
            pytest.skip(f"no {address} here")
        if kind == socket.SOCK_STREAM:
            made.listen()
        tables = await Run(Host(on_host("snapshot_socket"))).ended()
        port, inode = made.getsockname()[1], os.fstat(made.fileno()).st_ino
    (row,) = [
        row for rows in tables for row in rows if row["src"]["port"] == port and row["proc"]["pid"] == os.getpid()
    ]
    assert (row["src"]["addr"], row["src"]["proto"], row["src"]["version"]) == (address, proto, version)
    assert (row["state"], row["dst"]["port"]) == (state, 0)
    if sys.platform == "linux":
        assert row["ino"] == inode
        assert row["netns_id"] == own_namespace("net")


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that uses all of a processor that it gets."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process.pid
        process.kill()


async def test_a_busy_process_stands_in_the_table_with_what_it_uses(tracing: list[Run], busy: int) -> None:
    run = Run(Host(on_host("top_process", parameters={"interval": 0.3, "maxEntries": 100})))
    tracing.append(run)
    tables = await run.seen(2)
    (row,) = [row for row in tables[-1] if row["proc"]["pid"] == busy]
    assert row["cpuUsage"] > 1
    assert row["memoryRSS"] > 1_000_000
    assert row["threadCount"] == 1


def test_who_used_most_since_the_last_table_stands_first() -> None:
    def process(pid: int, cpu_s: float, created_s: float = 1.0) -> Process:
        return Process(pid, created_s, cpu_s, 0, 0, 1, "S", {"pid": pid})

    before = [process(1, 100.0), process(2, 5.0), process(3, 7.0), process(4, 50.0)]
    after = [process(1, 100.1), process(2, 6.0), process(3, 7.0), process(4, 0.5, created_s=2.0), process(5, 0.2)]
    table = processes.top(before, after, 2.0, 4)
    assert [(row["proc"]["pid"], row["cpuUsage"]) for row in table] == [(2, 50.0), (4, 25.0), (5, 10.0), (1, 5.0)]


@pytest.mark.parametrize("gadget", sorted(SOURCES["host"].gadgets))
async def test_events_have_the_fields_of_the_synthetic_ones(tracing: list[Run], gadget: str) -> None:
    """Readers of one source can read the other."""
    run = Run(Host(on_host(gadget, parameters={"interval": 0.2} if gadget == "top_process" else {})))
    tracing.append(run)
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def some() -> bool:
            with socket.create_connection(server.getsockname()), server.accept()[0]:
                pass
            return bool(run.events)

        await eventually(some, within_s=WITHIN_S, what="an event")
    event = run.events[0][0] if isinstance(run.events[0], list) else run.events[0]
    invented = sample(on_host(gadget), GADGETS[gadget].event_type, 1, "", 0)
    assert set(invented) - {"n"} <= set(event)
    for part in ("k8s", "runtime", "proc", "src", "dst"):
        if part in invented:
            assert set(event[part]) == set(invented[part]), part


async def test_sessions_that_ask_for_the_same_moment_share_one_reading() -> None:
    readings = itertools.count(1)
    table = Table(lambda: next(readings))
    first = await table.look(time.monotonic())
    assert (await table.look(first.at_s)).rows == 1
    assert (await table.look(time.monotonic())).rows == 2


async def test_a_table_that_takes_long_is_read_less_often(tracing: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[float] = []

    def slow() -> list[Socket]:
        readings.append(time.monotonic())
        until_s = time.thread_time() + 0.1
        while time.thread_time() < until_s:
            pass
        return []

    monkeypatch.setattr(host, "SOCKETS", Table(slow))
    tracing.append(Run(Host(on_host("trace_tcp"))))

    async def four() -> bool:
        return len(readings) >= 4

    await eventually(four, within_s=WITHIN_S, what="four looks")
    assert readings[3] - readings[1] > 0.5  # 0.4 at the usual pace


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), psutil.AccessDenied(1)])
async def test_what_the_kernel_refuses_is_the_sessions_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refused() -> list[Socket]:
        raise error

    monkeypatch.setattr(host, "SOCKETS", Table(refused))
    with pytest.raises(SourceError, match="this machine does not tell"):
        await Run(Host(on_host("snapshot_socket"))).ended()


def test_a_process_that_has_ended_is_named_by_its_id_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    found = processes.describe(ended.pid)
    assert (found["pid"], found["comm"]) == (ended.pid, "")
    assert set(found) == set(processes.describe(os.getpid()))


def test_a_peer_that_speaks_version_4_to_a_socket_of_both_is_shown_as_such() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no sockets of both versions here")
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection(("127.0.0.1", server.getsockname()[1])) as client,
        server.accept()[0],
    ):
        ends = End("127.0.0.1", server.getsockname()[1]), End("127.0.0.1", client.getsockname()[1])
        (accepted,) = [one for one in connections.read() if (one.src, one.dst) == ends]
    assert accepted.version == 4
