"""On a true stack: a right backend passes, and of a wrong one the simplest schedule is found and goes wrong again."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from planted import scaled

from limpet import contract as contracts
from limpet import history as histories
from limpet.checkers.interleavings import Judged, judge, numbered, schedules
from limpet.contract import Contract
from limpet.races.explore import Exploration, explore
from limpet.races.play import Played, Player, calls_of
from limpet.races.schedule import Schedule
from limpet.runner import Settings, history_path, stack

NODE = Path(__file__).parents[2] / "examples" / "node"
FEW = 40
MANY = 300
SHRINK_S = 15.0


@dataclass(frozen=True)
class Arena:
    player: Player
    contract: Contract

    def judge(self, played: Played) -> Judged:
        return judge(numbered(played.lines), self.contract)

    async def explore(self, schedules: int, seed: int = 1) -> Exploration:
        player = self.player
        ops = calls_of(self.contract)
        return await explore(
            player.play, self.judge, lanes=player.lanes, ops=ops, seed=seed, schedules=schedules, shrink_s=SHRINK_S
        )

    async def goes_wrong_again(self, exploration: Exploration, kind: str) -> str:
        """The text of the schedule that was found for this kind, when it has shown the same once more."""
        text = str(exploration.found[kind].played.schedule)
        judged = self.judge(await self.player.play(Schedule.parse(text)))
        assert kind in [violation.kind for violation in judged.violations], text
        return text


@asynccontextmanager
async def arena(contract: Path, folder: Path, replicas: int = 2) -> AsyncIterator[Arena]:
    known = contracts.load(contract)
    settings = Settings(known, folder / "run", "local", replicas, 1, None, os.getpid())
    async with stack(settings, "races") as running, Player(running) as player:
        yield Arena(player, known)


def backend(folder: Path, bug: str | None) -> Path:
    """The contract of the reference backend with this bug in it."""
    path = folder / "planted.toml"
    path.write_text(scaled.contract(bug))
    return path


async def test_a_right_backend_passes_and_its_record_says_the_same(tmp_path: Path) -> None:
    async with arena(backend(tmp_path, None), tmp_path, replicas=3) as there:
        exploration = await there.explore(FEW)
    assert {kind: str(one.violation) for kind, one in exploration.found.items()} == {}
    assert (exploration.drawn, exploration.doubtful) == (FEW, [])
    stored = histories.read(history_path(tmp_path / "run", "races"))
    again = [judge(lines, there.contract) for lines in schedules(stored)]
    assert (len(again), sum(one.acquired for one in again)) == (FEW, exploration.acquired)
    assert [one for one in again if one.violations or one.doubt] == []
    assert exploration.acquired >= FEW


async def test_a_release_without_the_token_is_found_simple_and_goes_wrong_again(tmp_path: Path) -> None:
    async with arena(backend(tmp_path, "release-without-token"), tmp_path) as there:
        text = await there.goes_wrong_again(await there.explore(MANY), "only the holder releases")
    assert "x" in Schedule.parse(text).steps


async def test_an_acquisition_in_two_steps_is_found_and_goes_wrong_again(tmp_path: Path) -> None:
    async with arena(backend(tmp_path, "acquire-by-get-then-set"), tmp_path) as there:
        await there.goes_wrong_again(await there.explore(MANY), "one holder")


async def test_an_update_that_brings_a_session_back_is_found_and_goes_wrong_again(tmp_path: Path) -> None:
    async with arena(backend(tmp_path, "lost-update"), tmp_path) as there:
        text = await there.goes_wrong_again(await there.explore(MANY), "linearizable")
    assert len(Schedule.parse(text).steps) <= 8


@pytest.fixture(scope="session")
def node() -> str:
    """The contract of the Node example, which is installed."""
    subprocess.run([shutil.which("npm") or "npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=NODE, check=True)
    return (NODE / "contract.toml").read_text()


def node_with(text: str, folder: Path, *bug: str) -> Path:
    command = ["node", str(NODE / "server.js"), *bug]
    path = folder / "node.toml"
    path.write_text(text.replace('["node", "server.js"]', str(command).replace("'", '"')))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_node_example_passes(node: str, tmp_path: Path, seed: int) -> None:
    async with arena(node_with(node, tmp_path), tmp_path) as there:
        exploration = await there.explore(MANY, seed)
    assert (exploration.drawn, exploration.found) == (MANY, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "kind", "simplest"),
    [
        ("unlock-plain-del", "only the holder releases", "A:delete B:delete | A x B"),
        ("no-lock", "linearizable", "A:delete B:delete | B"),
    ],
)
async def test_a_bug_of_the_node_example_is_found_and_goes_wrong_again(
    node: str, tmp_path: Path, bug: str, kind: str, simplest: str
) -> None:
    async with arena(node_with(node, tmp_path, "--bug", bug), tmp_path) as there:
        assert await there.goes_wrong_again(await there.explore(MANY), kind) == simplest
