"""Gadgets through kubectl, with one on the PATH that replays, stalls, breaks and does not want to end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from backend.sources import KUBECTL, FakeKubectl, recorded, session

from reference_backend.settings import Settings
from reference_backend.sources.base import SourceError
from reference_backend.sources.kubectl import GRACE_S, REASON_CHARS, arguments


@pytest_asyncio.fixture(loop_scope="session")
async def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeKubectl]:
    """On the PATH; after the test nothing of it may be left."""
    monkeypatch.setenv("PATH", str(KUBECTL), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_KUBECTL_NOTES", str(tmp_path))
    fake = FakeKubectl(tmp_path)
    yield fake
    assert fake.alive() == []


async def test_a_trace_is_passed_on_unchanged_and_stopped_by_sigint(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "demo")
    assert await run.seen(3) == recorded("trace_tcp")
    await run.stop()
    (ran,) = kubectl.runs()
    assert ran["args"] == ["gadget", "run", "trace_tcp:latest", "-n", "demo", "-o", "json"]


async def test_a_trace_that_ends_with_0_has_come_to_its_end(kubectl: FakeKubectl) -> None:
    assert await kubectl.run("trace_tcp", "ends").ended() == recorded("trace_tcp")


async def test_older_events_with_numbers_for_names_and_unknown_fields_are_kept(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "older")
    assert await run.seen(1) == recorded("trace_tcp.older")
    await run.stop()


async def test_tables_come_one_array_at_a_time(kubectl: FakeKubectl) -> None:
    run = kubectl.run("top_tcp", "demo")
    assert await run.seen(2) == recorded("top_tcp")
    await run.stop()


@pytest.mark.parametrize("how", ["demo", "pretty", "rows", "lingers"])
async def test_a_snapshot_is_one_array_and_the_end(kubectl: FakeKubectl, how: str) -> None:
    assert await kubectl.run("snapshot_process", how).ended() == recorded("snapshot_process")


@pytest.mark.parametrize("how", ["half", "half-then-whole", "byte-by-byte", "bad-utf8", "garbage", "long"])
async def test_what_cannot_be_read_is_said_and_what_can_is_passed_on(kubectl: FakeKubectl, how: str) -> None:
    first = recorded("trace_exec")[0]
    expected = {"half": 1, "half-then-whole": 2, "byte-by-byte": 1, "bad-utf8": 2, "garbage": 6, "long": 2}
    run = kubectl.run("trace_exec", how)
    events = await run.seen(expected[how])
    await run.stop()
    assert len(events) == expected[how]
    assert events.count(first) == 1
    others = [event for event in events if event != first]
    if how == "bad-utf8":
        assert others == [{"args": "/bin/\ufffd\ufffd", "comm": "caf\u00e9"}]
    else:
        assert all(set(event) == {"unreadable", "reason"} for event in others)


@pytest.mark.parametrize("gadget", ["trace_tcp", "snapshot_process"])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("dies", 'exit code 1: Error: running gadget: namespaces "dies" not found'),
        ("dies-later", "exit code 1: Error: connection to the node was lost"),
        ("no-plugin", 'unknown command "gadget" for "kubectl"; install the plugin'),
        ("killed", "ended by SIGKILL: it said nothing"),
        ("complains", "exit code 3: .*Error: the last word"),
    ],
)
async def test_how_it_broke_off_is_the_reason(kubectl: FakeKubectl, gadget: str, how: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        await kubectl.run(gadget, how).ended()
    said = str(caught.value)
    assert f"kubectl gadget run {gadget}" in said
    assert len(said) < REASON_CHARS + 100
    assert said.isprintable()


@pytest.mark.parametrize(
    ("how", "within_s", "reason"),
    [("nothing", 10, "ended without a result"), ("silent", 0.3, "within 0.3 s"), ("half", 0.3, "within 0.3 s")],
)
async def test_a_snapshot_that_never_is_whole_is_an_error(
    kubectl: FakeKubectl, how: str, within_s: float, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason):
        await kubectl.run("snapshot_process", how, result_within_s=within_s).ended()


async def test_a_trace_that_says_nothing_goes_on_until_it_is_stopped(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "silent")
    await kubectl.count(1)
    assert not run.task.done()
    await run.stop()
    assert run.events == []


async def test_a_trace_that_closes_its_output_and_goes_on_is_an_error(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_backend.sources.kubectl.CLOSED_S", 0.3)
    with pytest.raises(SourceError, match="closed its output and went on"):
        await kubectl.run("trace_tcp", "closes").ended()


async def test_who_ignores_sigint_is_killed_with_all_that_it_started(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "stubborn")
    await run.seen(1)
    await kubectl.count(2)
    await run.stop()


async def test_what_a_command_leaves_behind_ends_with_it(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "leaves-a-child")
    assert len(await run.ended()) == 1


async def test_a_command_that_writes_without_end_leaves_the_loop_its_time_and_can_be_stopped(
    kubectl: FakeKubectl,
) -> None:
    run = kubectl.run("trace_tcp", "flood")
    await run.seen(20)
    turns = 0
    until = asyncio.get_running_loop().time() + 0.3
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
    await run.stop()


async def test_a_run_that_is_cancelled_while_it_starts_leaves_nothing(kubectl: FakeKubectl) -> None:
    for turns in range(6):
        run = kubectl.run("trace_tcp", "stubborn" if turns % 2 else "silent")
        for _ in range(turns):
            await asyncio.sleep(0)
        await run.stop()
    assert kubectl.alive() == []


async def test_a_frozen_command_is_ended_too(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "silent")
    await kubectl.count(1)
    os.kill(kubectl.alive()[0], signal.SIGSTOP)
    await run.stop()


async def test_without_kubectl_the_reason_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="kubectl is not on the PATH of this replica; install it"):
        await FakeKubectl(tmp_path).run("trace_tcp", "demo").ended()


async def test_a_kubectl_that_is_no_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "kubectl"
    broken.write_bytes(b"\0not a program")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"exit code 127: cannot start .*kubectl: Exec format error"):
        await FakeKubectl(tmp_path).run("trace_tcp", "demo").ended()


async def test_the_backends_settings_are_not_handed_to_the_command(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REDIS_URL", "DATABASE_URL", "BACKEND_LOCK_TTL_S"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("KUBECONFIG", "given")
    await kubectl.run("trace_tcp", "ends").ended()
    (ran,) = kubectl.runs()
    assert ran["env"]["KUBECONFIG"] == "given"
    assert "secret" not in ran["env"].values()


@pytest.mark.parametrize(
    ("gadget", "changes", "switches"),
    [
        ("trace_tcp", {"podName": "apples-1", "containerName": "app"}, "--podname apples-1 --containername app"),
        ("trace_tcp", {"parameters": {"acceptOnly": True, "failureOnly": True}}, "--accept-only --failure-only"),
        ("trace_tcp", {"parameters": {"connectOnly": True}}, "--connect-only"),
        ("trace_exec", {"parameters": {"paths": True}}, "--paths"),
        ("top_tcp", {"parameters": {"interval": 2.5, "maxEntries": 7}}, "--map-fetch-interval 2.5s --max-entries 7"),
        ("top_process", {"parameters": {"interval": 3}}, "--interval 3s --max-entries 10"),
        ("profile_cpu", {"parameters": {"duration": 1.5}}, "--timeout 2 --map-fetch-interval 0"),
        ("snapshot_socket", {}, ""),
    ],
)
def test_parameters_become_switches(gadget: str, changes: dict[str, Any], switches: str) -> None:
    command = arguments(session(gadget, "kubectl", "demo", **changes))
    assert command == ["gadget", "run", f"{gadget}:latest", "-n", "demo", "-o", "json", *switches.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_when_the_leash_itself_is_killed_the_command_dies(kubectl: FakeKubectl) -> None:
    run = kubectl.run("trace_tcp", "silent")
    await kubectl.count(1)
    os.kill(kubectl.runs()[0]["parent"], signal.SIGKILL)
    await kubectl.count(0)
    with pytest.raises(SourceError, match="SIGKILL"):
        await run.ended()


def test_the_grace_is_shorter_than_an_owner_is_given_to_stop_a_gadget() -> None:
    assert Settings.model_fields["owner_stop_wait_s"].default > GRACE_S
