"""Traffic that goes on whatever happens, made by a user who is answered as the test says."""

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from limpet import contract as contracts
from limpet import history as histories
from limpet import shipped
from limpet.clients.sessions import User
from limpet.errors import DeadlineError
from limpet.history import History, Recorder
from limpet.workloads.stack import Stack
from limpet.workloads.traffic import Client, beside

CALLS_MAX = 12


@dataclass
class Pretended:
    """A user; what is named in `fails` fails, and after enough calls it is over."""

    history: History
    fails: str = ""
    calls: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.contract = contracts.load(shipped.contract("gadget"))
        self.recorder = Recorder(self.history)

    async def call(self, op: str) -> bool:
        async with self.recorder.operation(op) as done:
            if op != self.fails:
                done.ok()
        self.calls.append(op)
        if len(self.calls) >= CALLS_MAX:
            self.over.set()
        return op != self.fails

    async def create(self) -> str | None:
        return "s" if await self.call("create") else None

    async def read(self, _session: str) -> dict[str, Any] | None:
        return {"labels": {}} if await self.call("read") else None

    async def update(self, _session: str, _value: object) -> bool:
        return await self.call("update")

    async def list(self) -> None:
        await self.call("list")

    async def delete(self, _session: str) -> bool:
        return await self.call("delete")


@dataclass
class Bare:
    """As much of a stack as traffic needs."""

    history: History


async def ran(folder: Path, fails: str) -> tuple[list[str], list[dict[str, Any]]]:
    with closing(History(folder / "h", "availability")) as history:
        user = Pretended(history, fails)
        client = Client(cast(Stack, Bare(history)), cast(User, user), 7, sticky=True, pace_s=0.0, bound="i-a")
        async with asyncio.timeout(20):
            await client.run(user.over)
    return user.calls, [line.data for _, line in histories.read(folder / "h").of("client")]


async def test_sessions_live_from_create_to_delete(tmp_path: Path) -> None:
    calls, said = await ran(tmp_path, "")
    assert calls[:5] == ["create", "read", "update", "list", "delete"]
    assert calls[5:10] == calls[:5]
    assert calls[-1] == "delete"
    assert said == [{"number": 7, "process": said[0]["process"], "sticky": True, "bound": "i-a"}]


@pytest.mark.parametrize(
    ("fails", "calls"),
    [("create", ["create"]), ("read", ["create", "read"]), ("update", ["create", "read", "update"])],
)
async def test_a_session_on_which_a_request_failed_is_left_alone(tmp_path: Path, fails: str, calls: list[str]) -> None:
    made, said = await ran(tmp_path, fails)
    assert made[: 2 * len(calls)] == calls * 2
    assert len({one["process"] for one in said}) == len(said) > 2  # it says who it is whenever its number is retired
    assert {one["number"] for one in said} == {7}


async def test_jobs_beside_a_block_are_waited_for_and_their_failure_is_told_as_it_is() -> None:
    done = asyncio.Event()

    async def job() -> None:
        await asyncio.sleep(0)
        done.set()

    async def fails() -> None:
        raise DeadlineError("too late")

    async with beside(job(), job()):
        assert not done.is_set()
    assert done.is_set()
    with pytest.raises(DeadlineError, match="too late"):
        async with beside(fails()):
            await asyncio.sleep(10)
