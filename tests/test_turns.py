"""Suites take turns: what needs a quiet machine goes first and alone, until it lets the others begin."""

import asyncio
from pathlib import Path

import pytest

from limpet import contract as contracts
from limpet import runner, shipped
from limpet.runner import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(contracts.load(shipped.contract("gadget")), tmp_path, "local", 2, 1, None, 0)


async def test_the_others_wait_for_the_one_that_is_alone_and_begin_when_it_lets_them(settings: Settings) -> None:
    order: list[str] = []
    quiet_is_over = asyncio.Event()

    async def other() -> None:
        async with runner.turn(settings, alone=False, behind=True):
            order.append("other")

    async def alone() -> None:
        async with runner.turn(settings, alone=True, behind=True) as let_others_begin:
            order.append("alone")
            await quiet_is_over.wait()
            order.append("no longer alone")
            let_others_begin()
            await asyncio.wait_for(early, 10)

    early = asyncio.create_task(other())
    await asyncio.sleep(0)
    quiet = asyncio.create_task(alone())
    done, _ = await asyncio.wait([early, quiet], timeout=0.5)
    assert not done
    quiet_is_over.set()
    await quiet
    assert order == ["alone", "no longer alone", "other"]


async def test_suites_run_beside_each_other_where_none_is_alone(settings: Settings) -> None:
    async with (
        runner.turn(settings, alone=False, behind=False),
        asyncio.timeout(10),
        runner.turn(settings, alone=False, behind=False),
    ):
        assert (settings.directory / runner.TURNS).stat().st_size == 0


async def test_one_that_never_begins_is_not_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_WITHIN_S", 0.05)
    async with asyncio.timeout(10), runner.turn(settings, alone=False, behind=True):
        assert (settings.directory / runner.TURNS).stat().st_size == 0
