"""The order in which faults that cost a replica its sessions do their work, on a target that only pretends."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from limpet import contract as contracts
from limpet import history as histories
from limpet import shipped
from limpet.clients.redis_keys import Looker
from limpet.contract import Contract
from limpet.errors import UnsupportedError
from limpet.faults import late_appends, pause, pods
from limpet.faults.base import Fault, strike
from limpet.faults.late_appends import KillWithAppendsUnderWay
from limpet.faults.pause import PauseBeyondLease
from limpet.faults.pods import KillAnother, ScaleDown
from limpet.history import History
from limpet.links.switches import Hold
from limpet.targets.base import Action, Kill, Link, Pause, Phase, Pod, Resume, Scale, Target

A, B, C = "backend-1", "backend-2", "backend-3"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause, "ADOPTED_S", 0.0)
    monkeypatch.setattr(pause, "EXPIRED_SLACK_S", 0.2)
    monkeypatch.setattr(pods, "EFFECT_WITHIN_S", 0.2)
    monkeypatch.setattr(late_appends, "HELD_S", 0.01)
    monkeypatch.setattr(late_appends, "ARRIVED_S", 0.01)
    monkeypatch.setattr(late_appends, "ADOPTED_WITHIN_S", 0.2)


class Pretended:
    """Three replicas, how long their leases live, and what was done to them, one word each."""

    def __init__(self, lives_ms: Mapping[str, int], *, links: bool = True) -> None:
        self.replicas = 3
        self.lives_ms = dict(lives_ms)
        self.links = links
        self.done: list[str] = []
        self.phases: dict[str, Phase] = {A: "ready", B: "ready", C: "ready"}
        self.restarts = dict.fromkeys(self.phases, 0)
        self.stays = False  # whether a lease lives although its owner stands still

    async def pods(self) -> list[Pod]:
        return [
            Pod(name, "", phase, listed=phase == "ready", restarts=self.restarts[name], started_ns=0, instance=name)
            for name, phase in self.phases.items()
        ]

    async def act(self, action: Action) -> None:
        match action:
            case Pause(pod):
                self.done.append(f"pause {pod}")
                self.phases[pod] = "not ready"
                if not self.stays:
                    del self.lives_ms[pod]
            case Resume(pod):
                self.done.append(f"resume {pod}")
                self.phases[pod] = "ready"
            case Kill(pod):
                self.done.append(f"kill {pod}")
                self.restarts[pod] += 1
            case Scale(count):
                self.done.append(f"scale {count}")
                self.replicas = count
                self.phases = dict(list(self.phases.items())[:count])
            case Link(pod, "redis", switch):
                if not self.links:
                    raise UnsupportedError("link", "none here")
                self.done.append(f"{'hold' if isinstance(switch, Hold) else switch} {pod}")

    def redis(self) -> "Pretended":
        return self

    async def pttl(self, key: str) -> int:
        return self.lives_ms.get(key.split(":")[1], -2)

    async def exists(self, key: str) -> int:
        return key.split(":")[1] in self.lives_ms

    async def aclose(self) -> None:
        pass


class Owners:
    """Says that the victim owns something, a few times."""

    def __init__(self, target: Pretended, times: int) -> None:
        self.target = target
        self.times = times

    async def owners(self, _step: str) -> dict[str, list[str]]:
        self.times -= 1
        self.target.done.append("owners")
        return {B: ["s"]} | ({A: ["s"]} if self.times >= 0 else {})


@pytest.fixture
def quick() -> Contract:
    known = contracts.load(shipped.contract("gadget"))
    return known.with_timing(heartbeat_ttl_s=0.1, takeover_scan_s=0.01)


async def struck(target: Pretended, fault: Fault, path: Path) -> list[str]:
    """What was written of it."""
    with closing(History(path, "x")) as history:
        await strike(fault, cast(Target, target), history)
    return [line.op for _, line in histories.read(path).of("fault")]


async def test_the_replica_whose_lease_ends_soonest_stands_still_beyond_it(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({A: 900, B: 300, C: 500})
    steps = await struck(target, PauseBeyondLease(quick), tmp_path / "history")
    assert steps == ["inject", "effect", "heal", "recovered"]
    assert target.done == [f"pause {B}", f"resume {B}"]


async def test_a_lease_that_does_not_end_is_no_effect_and_the_replica_goes_on(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({A: 900, B: 300, C: 500})
    target.stays = True
    steps = await struck(target, PauseBeyondLease(quick), tmp_path / "history")
    assert steps == ["inject", "no effect", "heal", "recovered"]
    assert target.done == [f"pause {B}", f"resume {B}"]


async def test_without_a_lease_nobody_is_stopped(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({})
    steps = await struck(target, PauseBeyondLease(quick), tmp_path / "history")
    assert steps == ["inject", "not recovered", "heal"]
    assert target.done == []


async def test_another_is_killed_while_one_stands_still(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({A: 300, B: 500, C: 500})
    paused = PauseBeyondLease(quick)
    await paused.inject(cast(Target, target))
    await paused.unlisted(cast(Target, target))
    steps = await struck(target, KillAnother(), tmp_path / "history")
    assert steps == ["inject", "effect", "heal", "recovered"]
    assert target.done == [f"pause {A}", f"kill {B}"]


async def test_one_replica_less_is_not_taken_back(tmp_path: Path) -> None:
    target = Pretended({})
    assert await struck(target, ScaleDown(), tmp_path / "history") == ["inject", "effect", "heal", "recovered"]
    assert target.done == ["scale 2"]


async def late(target: Pretended, quick: Contract, path: Path, *, times: int = 2) -> list[str]:
    victim = (await target.pods())[0]
    with closing(History(path.with_suffix(".links"), "x")) as links:
        looker = cast(Looker, Owners(target, times))
        return await struck(target, KillWithAppendsUnderWay(victim, quick, looker, links), path)


async def test_appends_are_held_until_the_dead_owns_nothing(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({})
    assert await late(target, quick, tmp_path / "history") == ["inject", "effect", "heal", "recovered"]
    assert target.done == [f"hold {A}", f"kill {A}", "owners", "owners", "owners", f"pass {A}"]


async def test_what_is_held_passes_even_if_nobody_takes_over(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({})
    assert await late(target, quick, tmp_path / "history", times=1000) == ["inject", "effect", "heal", "recovered"]
    assert target.done[-1] == f"pass {A}"


async def test_without_links_it_is_a_kill(quick: Contract, tmp_path: Path) -> None:
    target = Pretended({}, links=False)
    assert await late(target, quick, tmp_path / "history") == ["inject", "effect", "heal", "recovered"]
    assert target.done[0] == f"kill {A}"
