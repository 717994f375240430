"""The local target treats its pods as a cluster would: names, restarts, grace, endpoints."""

import os

import pytest
from targets.bench import Bench, environment_of, listed_by_ingress, state_of, there_are

from limpet.clock import NS_PER_S, eventually
from limpet.errors import LimpetError
from limpet.history import Line
from limpet.targets.base import Delete, Kill, Pause, Pod, Resume, RollOut, Scale
from limpet.targets.local import pod as pods
from limpet.targets.local.descendants import with_descendants
from limpet.targets.local.target import LocalTarget
from limpet.targets.ready import all_ready

GRACE_S = 0.5  # of the bench's contract
LEFT = "left the ingress"


async def test_a_killed_pod_is_restarted_in_place(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        before, other = await target.pods()
        await target.act(Kill(before.name))
        after, same = await all_ready(target)
        assert (after.name, after.address, after.restarts) == (before.name, before.address, 1)
        assert same == other
        assert after.pid != before.pid
        assert after.started_ns > before.started_ns
        assert after.instance not in ("", before.instance)
        assert (await target.log(before.name)).count("instance ID") == 2
    events = _events(bench, "backend-1")
    assert events[:3] == ["started", "ready", "listed"]
    assert set(events[3:-3]) - {"not ready"} == {"exited", "unlisted"}  # a probe may find it before its end is told
    assert events[-3:] == ["restarted", "ready", "listed"]


async def test_a_deleted_pod_is_replaced_under_a_new_name_and_port(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        old, other = await target.pods()
        await target.act(Delete(old.name))
        pods = await all_ready(target)
        assert [pod.name for pod in pods] == ["backend-2", "backend-3"]
        assert pods[1].address not in (old.address, other.address)
        assert pods[1].restarts == 0
        assert there_are([old.pid]) == []
    events = ["started", "ready", "listed", "terminating", "unlisted", "asked to stop", "exited"]
    assert _events(bench, "backend-1") == events
    with_ingress = [line.op for line in _of(bench, "backend-1")]
    assert with_ingress.index("unlisted") < with_ingress.index(LEFT) < with_ingress.index("exited")
    assert _exit_status(bench, "backend-1") == [-15]


async def test_a_pod_that_ignores_its_end_is_killed_after_its_grace_period(bench: Bench) -> None:
    target = bench.target(bench.contract(flags="stubborn"))
    async with target:
        await target.act(Delete("backend-1"))
    assert _exit_status(bench, "backend-1") == [-9]
    assert GRACE_S <= _between_s(bench, "asked to stop", "exited") < GRACE_S + 3


async def test_a_pod_deleted_without_grace_is_killed_at_once(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        await target.act(Delete("backend-1", grace_s=0))
    assert _exit_status(bench, "backend-1") == [-9]
    assert "asked to stop" not in _events(bench, "backend-1")


async def test_a_killed_pod_takes_all_its_processes_with_it(bench: Bench) -> None:
    target = bench.target(bench.contract(flags="children,forking"))
    async with target:
        pod, _ = await target.pods()
        family = with_descendants(pod.pid)
        assert len(family) > 3
        await target.act(Kill(pod.name))
        assert there_are(family) == []


async def test_a_paused_pod_leaves_the_endpoints_and_comes_back_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "PROBE_TIMEOUT_S", 0.3)
    target = bench.target(bench.contract())
    async with target:
        before, _ = await target.pods()
        await target.act(Pause(before.name))
        await _until(target, before.name, "not ready")
        assert state_of(before.pid) == "T"
        await target.act(Resume(before.name))
        assert (await all_ready(target))[0] == before


async def test_the_ingress_lists_exactly_the_ready_pods(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        first, second = await target.pods()
        switches = [bench.folder / f"{pod.name}.unready" for pod in (first, second)]
        assert await listed_by_ingress(target) == sorted([first.address, second.address])
        for switch, left in zip(switches, ([second.address], []), strict=True):
            switch.touch()
            await _ingress_lists(target, left)
        for switch in switches:
            switch.unlink()
        assert await all_ready(target) == [first, second]
        assert await listed_by_ingress(target) == sorted([first.address, second.address])
    for line in bench.lines():
        if line.type == "pod" and line.data["listed"]:
            assert line.data["phase"] == "ready"


async def test_scaling_adds_pods_and_takes_the_youngest_away(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        await target.act(Scale(4))
        assert [pod.name for pod in await all_ready(target)] == [f"backend-{n}" for n in (1, 2, 3, 4)]
        await target.act(Scale(1))
        assert [pod.name for pod in await target.pods()] == ["backend-1"]
        assert target.replicas == 1


async def test_a_roll_out_replaces_all_and_never_has_fewer_ready(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        await target.act(RollOut())
        assert [pod.name for pod in await all_ready(target)] == ["backend-3", "backend-4"]
    ready = 0
    least = []
    for line in bench.lines():
        if line.type == "pod" and line.op in ("listed", "unlisted"):
            ready += 1 if line.op == "listed" else -1
            least.append(ready)
    assert min(least[1:]) == 2


async def test_pods_that_keep_dying_wait_longer_each_time(bench: Bench) -> None:
    target = bench.target(bench.contract(), replicas=1)
    async with target:
        for restarts in (1, 2, 3):
            await target.act(Kill("backend-1"))

            async def again(restarts: int = restarts) -> bool:
                (pod,) = await target.pods()
                return pod.restarts == restarts and pod.phase == "ready"

            await eventually(again, within_s=10, what="restart")
    pauses = [later.t - earlier.t for earlier, later in _pairs(bench, "exited", "restarted")]
    assert pauses[0] < 0.5 * NS_PER_S <= pauses[1] < 1.0 * NS_PER_S <= pauses[2]


async def test_a_pod_without_a_readiness_call_is_ready_when_it_takes_connections(bench: Bench) -> None:
    contract = bench.contract()
    text = contract.path.read_text().replace('ready = "GET /ready"\n', "").replace('health = "GET /health"\n', "")
    target = bench.target(bench.parse(text))
    async with target:
        assert [pod.phase for pod in await target.pods()] == ["ready", "ready"]


async def test_an_unknown_pod_is_told_with_those_there_are(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        with pytest.raises(LimpetError, match="no pod 'backend-9'; there are: backend-1, backend-2"):
            await target.act(Kill("backend-9"))
        with pytest.raises(LimpetError, match="no pod 'backend-9'"):
            await target.log("backend-9")


async def test_pods_do_not_see_the_harness_own_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPET_SECRET", "1")
    monkeypatch.setenv("HOLIDAY", "1")
    target = bench.target(bench.contract(), replicas=1)
    async with target:
        (pod,) = await target.pods()
        seen = environment_of(pod.pid)
    assert b"HOLIDAY=1" in seen
    assert b"PATH=" + os.environb[b"PATH"] in seen
    assert b"LIMPET_SECRET=1" not in seen
    assert not any(variable.startswith(b"PYTEST") for variable in seen)


async def _ingress_lists(target: LocalTarget, addresses: list[str]) -> None:
    async def same() -> bool:
        return await listed_by_ingress(target) == addresses

    await eventually(same, within_s=5, what=f"ingress lists {addresses}")


async def _until(target: LocalTarget, name: str, phase: str) -> Pod:
    async def reached() -> Pod | None:
        return next((pod for pod in await target.pods() if pod.name == name and pod.phase == phase), None)

    return await eventually(reached, within_s=10, what=f"{name} {phase}")


def _of(bench: Bench, name: str) -> list[Line]:
    return [line for line in bench.lines() if line.type == "pod" and line.data["name"] == name]


def _events(bench: Bench, name: str) -> list[str]:
    """Without the ingress's word, which comes when it comes."""
    return [line.op for line in _of(bench, name) if line.op != LEFT]


def _exit_status(bench: Bench, name: str) -> list[int]:
    return [line.data["status"] for line in _of(bench, name) if line.op == "exited"]


def _pairs(bench: Bench, first: str, second: str) -> list[tuple[Line, Line]]:
    lines = _of(bench, "backend-1")
    firsts, seconds = ([line for line in lines if line.op == op] for op in (first, second))
    return list(zip(firsts, seconds, strict=False))


def _between_s(bench: Bench, first: str, second: str) -> float:
    ((earlier, later),) = _pairs(bench, first, second)
    return (later.t - earlier.t) / NS_PER_S
