"""The order in which the fault does its work, on a target that only pretends; the suite `locking` has true ones."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from limpet import history as histories
from limpet.clients.redis_trace import RedisTrace
from limpet.faults import hold_then_pause
from limpet.faults.base import strike
from limpet.faults.hold_then_pause import Entry, HoldThenPause
from limpet.history import History
from limpet.links import gate
from limpet.links.switches import Hold
from limpet.targets.base import Action, Link, Listen, Pause, Pod, Resume, Target

A, B = "backend-1", "backend-2"
KEYS = ("lock:session:s", "session:s")
TTL_S = 0.2
SOURCES = {A: "127.64.0.1", B: "127.64.0.2"}


class Pretended:
    """A lock, two replicas that take it, and what was done to them, one word each."""

    def __init__(
        self, *, no_pause: str = "", lives_for_ever: bool = False, restless: bool = False, slow: bool = False
    ) -> None:
        self.replicas = 2
        self.done: list[str] = []
        self.lines: list[bytes] = []
        self.held_until = 0.0
        self.no_pause = no_pause
        self.life_s = 1000.0 if lives_for_ever else TTL_S
        self.restless = restless  # it does something although it is stopped
        self.slow = slow  # it takes the lock and does not go on
        self.tell: Callable[[gate.Event], None] | None = None
        self.links: dict[str, Any] = {}
        self.stopped: set[str] = set()
        self.moved = asyncio.Event()

    def capabilities(self) -> Mapping[str, str]:
        return {"pause": self.no_pause}

    async def pods(self) -> list[Pod]:
        return [Pod(name, "", "ready", listed=True, restarts=0, started_ns=0) for name in (A, B)]

    async def act(self, action: Action) -> None:
        match action:
            case Link(pod, "redis", switch):
                self.links[pod] = switch
                self.done.append(f"hold {pod} {switch.nth}" if isinstance(switch, Hold) else f"{switch} {pod}")
            case Listen(told):
                self.tell = told
            case Pause(pod):
                self.stopped.add(pod)
                self.done.append(f"pause {pod}")
            case Resume(pod):
                self.stopped.discard(pod)
                self.done.append(f"resume {pod}")
        self.moved.set()

    def redis(self) -> "Pretended":
        return self

    async def exists(self, key: str) -> int:
        assert key == KEYS[0]
        return asyncio.get_running_loop().time() < self.held_until

    async def aclose(self) -> None:
        pass

    def said(self, pod: str) -> None:
        self.lines.append(f'+1.0 [0 {SOURCES[pod]}:5000] "GET" "{KEYS[1]}"'.encode())

    async def section(self, pod: str) -> None:
        """Takes the lock, is held up, and goes on when it can."""
        self.said(pod)
        self.held_until = asyncio.get_running_loop().time() + self.life_s
        if self.restless:
            self.said(A)
        if self.tell and isinstance(self.links.get(pod), Hold) and not self.slow:
            self.tell(gate.Kept(pod, [b"GET", KEYS[1].encode()]))
        while pod in self.stopped or isinstance(self.links.get(pod), Hold):
            self.moved.clear()
            await self.moved.wait()
        self.said(pod)
        self.done.append(f"end {pod}")

    async def nothing(self) -> None:
        """No lock is taken."""


class Trace:
    def __init__(self, target: Pretended) -> None:
        self.monitor = target

    async def catch_up(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEEN_WITHIN_S", "EXPIRED_SLACK_S"):
        monkeypatch.setattr(hold_then_pause, name, 0.3)
    monkeypatch.setattr(hold_then_pause, "LATE_S", 0.0)


def fault_on(target: Pretended, history: History, *, commit: int = 3, takes_it: bool = True) -> HoldThenPause:
    return HoldThenPause(
        KEYS,
        acquire=1,
        commit=commit,
        ttl_s=TTL_S,
        source=SOURCES[A],
        holder=Entry(A, (lambda: target.section(A)) if takes_it else target.nothing),
        rival=Entry(B, lambda: target.section(B)),
        trace=cast("RedisTrace", Trace(target)),
        history=history,
    )


async def struck(target: Pretended, folder: Path, **how: Any) -> tuple[HoldThenPause, list[tuple[str, str]]]:
    """The fault, and what the history says of it: type and op of each line."""
    path = folder / "history.jsonl"
    with closing(History(path, "locking")) as history:
        fault = fault_on(target, history, **how)
        await strike(fault, cast("Target", target), history)
    return fault, [(line.type, line.op) for line in histories.read(path).lines[1:-1]]


async def test_the_holder_sleeps_until_another_has_the_lock_and_wakes_while_that_one_holds_it(tmp_path: Path) -> None:
    target = Pretended()
    fault, lines = await struck(target, tmp_path)
    assert fault.overtaken
    assert target.done == [
        f"hold {A} 2",  # what it looks at before its change
        f"pause {A}",
        f"pass {A}",
        f"hold {B} 2",
        f"resume {A}",
        f"end {A}",
        f"pass {B}",
        f"end {B}",
    ]
    assert [op for type_, op in lines if type_ == "fault"] == ["inject", "effect", "heal", "recovered"]
    assert [op for type_, op in lines if type_ == "pause"] == ["begin", "end"]


async def test_a_change_that_nothing_is_looked_at_before_does_not_pass_until_the_lock_is_anothers(
    tmp_path: Path,
) -> None:
    target = Pretended()
    fault, _ = await struck(target, tmp_path, commit=2)
    assert fault.overtaken
    assert target.done[:5] == [f"hold {A} 2", f"pause {A}", f"hold {B} 2", f"pass {A}", f"resume {A}"]


async def test_where_nothing_can_be_stopped_the_change_is_kept_back_and_the_history_says_why(tmp_path: Path) -> None:
    target = Pretended(no_pause="no permission")
    fault, lines = await struck(target, tmp_path)
    assert fault.overtaken
    assert target.done == [f"hold {A} 3", f"hold {B} 2", f"pass {A}", f"end {A}", f"pass {B}", f"end {B}"]
    assert ("fault", "only its link is held") in lines


@pytest.mark.parametrize("how", ["lives_for_ever", "restless"])
async def test_a_lock_that_does_not_expire_or_a_holder_that_goes_on_is_no_effect(tmp_path: Path, how: str) -> None:
    target = Pretended(lives_for_ever=how == "lives_for_ever", restless=how == "restless")
    fault, lines = await struck(target, tmp_path)
    assert not fault.overtaken
    assert [op for type_, op in lines if type_ == "fault"] == ["inject", "no effect", "heal", "recovered"]
    assert not target.stopped
    assert not any(isinstance(link, Hold) for link in target.links.values())


async def test_a_change_that_takes_no_lock_is_not_overtaken_and_everything_is_healed(tmp_path: Path) -> None:
    target = Pretended()
    fault, lines = await struck(target, tmp_path, takes_it=False)
    assert not fault.overtaken
    assert [op for type_, op in lines if type_ == "fault"] == ["inject", "not recovered", "heal"]
    assert target.done == [f"hold {A} 2", f"pass {A}"]


async def test_one_that_has_the_lock_and_does_not_know_it_yet_is_not_stopped(tmp_path: Path) -> None:
    target = Pretended(slow=True)
    fault, lines = await struck(target, tmp_path)
    assert not fault.overtaken
    assert [op for type_, op in lines if type_ == "fault"] == ["inject", "not recovered", "heal"]
    assert f"pause {A}" not in target.done


async def test_healing_again_changes_nothing(tmp_path: Path) -> None:
    target = Pretended()
    with closing(History(tmp_path / "history.jsonl", "locking")) as history:
        fault = fault_on(target, history)
        await strike(fault, cast("Target", target), history)
        done = list(target.done)
        await fault.heal(cast("Target", target))
    assert target.done == done


async def test_one_that_is_cancelled_while_the_holder_sleeps_wakes_it(tmp_path: Path) -> None:
    target = Pretended(lives_for_ever=True)
    with closing(History(tmp_path / "history.jsonl", "locking")) as history:
        striking = asyncio.create_task(strike(fault_on(target, history), cast("Target", target), history))
        while not target.stopped:
            target.moved.clear()
            await target.moved.wait()
        striking.cancel()
        await asyncio.wait([striking])
    assert striking.cancelled()
    assert not target.stopped
    assert not any(isinstance(link, Hold) for link in target.links.values())
