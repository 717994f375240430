"""Replicas stopped or cut off from Redis, on a target that only pretends; the suite `availability` has true ones."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import pytest

from limpet import history as histories
from limpet.faults import silence
from limpet.faults.base import Fault, strike
from limpet.faults.silence import CutFromRedis, PausePod
from limpet.history import History
from limpet.targets.base import Action, Link, Pause, Pod, Resume, Target

FIRST, SECOND = "backend-1", "backend-2"


class Pretended:
    """Two replicas, of which the first notices what is done to it, and what was done, one word each."""

    replicas = 2

    def __init__(self, *, notices: bool = True, ready: bool = True) -> None:
        self.done: list[str] = []
        self.notices = notices
        self.first = Pod(FIRST, "", "ready" if ready else "pending", listed=ready, restarts=0, started_ns=0)
        self.connected = {FIRST, SECOND}

    def capabilities(self) -> Mapping[str, str]:
        return {}

    async def pods(self) -> list[Pod]:
        if self.first.phase == "pending":
            return [self.first]
        return [self.first, Pod(SECOND, "", "ready", listed=True, restarts=0, started_ns=0)]

    async def act(self, action: Action) -> None:
        match action:
            case Pause(pod):
                self.done.append(f"pause {pod}")
                self.turn(pod, well=False)
            case Resume(pod):
                self.done.append(f"resume {pod}")
                self.turn(pod, well=True)
            case Link(pod, "redis", switch):
                self.done.append(f"{switch} {pod}")
                self.turn(pod, well=switch == "pass")

    def turn(self, pod: str, *, well: bool) -> None:
        assert pod == FIRST
        if well:
            self.first = replace(self.first, phase="ready", listed=True)
            self.connected.add(pod)
        elif self.notices:
            self.first = replace(self.first, phase="not ready", listed=False)
            self.connected.discard(pod)

    def redis(self) -> "Pretended":
        return self

    async def client_list(self) -> list[dict[str, Any]]:
        return [{"id": pod, "name": ""} for pod in sorted(self.connected)] + [{"id": "9", "name": "limpet"}]

    async def aclose(self) -> Self:
        return self


async def struck(fault: Fault, target: Pretended, folder: Path) -> list[str]:
    """The steps of the fault as the history has them."""
    with closing(History(folder / "h", "availability")) as history:
        await strike(fault, cast(Target, target), history)
    return [line.op for _, line in histories.read(folder / "h").of("fault")]


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (PausePod(0.0), [f"pause {FIRST}", f"resume {FIRST}"]),
        (CutFromRedis(0.0), [f"cut {FIRST}", f"pass {FIRST}"]),
    ],
)
async def test_the_oldest_is_silenced_and_comes_back(tmp_path: Path, fault: Fault, done: list[str]) -> None:
    target = Pretended()
    assert await struck(fault, target, tmp_path) == ["inject", "effect", "heal", "recovered"]
    assert target.done == done
    await fault.heal(cast(Target, target))
    assert target.done == done


@pytest.mark.parametrize("fault", [PausePod(0.0), CutFromRedis(0.0)])
async def test_what_nobody_notices_did_not_bite_and_is_healed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(silence, "EFFECT_WITHIN_S", 0.05)
    target = Pretended(notices=False)
    assert await struck(fault, target, tmp_path) == ["inject", "no effect", "heal", "recovered"]
    assert len(target.done) == 2


@pytest.mark.parametrize("fault", [PausePod(0.0), CutFromRedis(0.0)])
async def test_where_no_replica_is_ready_nothing_is_done(tmp_path: Path, fault: Fault) -> None:
    target = Pretended(ready=False)
    assert await struck(fault, target, tmp_path) == ["inject", "not recovered", "heal"]
    assert target.done == []
