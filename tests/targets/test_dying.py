"""Nothing outlives its owner: whoever of those that a stack needs is killed, all of it is gone within 2 s."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from targets.bench import Bench, guardian_pid, left_of, stack_folder

from limpet.clock import eventually
from limpet.errors import DeadlineError, PartFailedError
from limpet.targets.base import Kill
from limpet.targets.local.descendants import children_of, with_descendants
from limpet.targets.local.target import LocalTarget

HARNESS = Path(__file__).with_name("held_stack.py")
GONE_WITHIN_S = 2.0


@dataclass
class Held:
    """A stack whose harness is another process."""

    harness: subprocess.Popen[bytes]
    owner: subprocess.Popen[bytes]
    stack: Path
    pids: list[int]
    segment: int

    @property
    def guardians(self) -> tuple[int, int]:
        """The outer half, which comes first among its descendants, and the inner one."""
        return self.pids[0], self.pids[1]

    def left(self) -> str:
        """What is left of the stack."""
        shared = [row.split()[1] for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        segment = [f"segment {self.segment}"] if str(self.segment) in shared else []
        return ", ".join(left_of(self.pids, self.stack) + segment)


@contextmanager
def held(folder: Path) -> Iterator[Held]:
    """Start it; what the test has left over is killed."""
    owner = subprocess.Popen(["/bin/sleep", "600"])
    harness = subprocess.Popen(
        [sys.executable, str(HARNESS), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"LIMPET_OWNER_PID": str(owner.pid)},
    )
    try:
        assert harness.stdout is not None
        told = json.loads(harness.stdout.readline())
        yield Held(harness, owner, Path(told["stack"]), told["pids"], told["segment"])
    finally:
        for process in (harness, owner):
            process.kill()
            process.wait()
        for stream in (harness.stdin, harness.stdout):
            assert stream is not None
            stream.close()


@pytest.mark.parametrize(
    "victim", ["harness", "owner", "outer guardian", "inner guardian", "harness, while the inner guardian is stopped"]
)
async def test_when_one_is_killed_all_of_its_stack_is_gone_within_two_seconds(tmp_path: Path, victim: str) -> None:
    with held(tmp_path) as stack:
        outer, inner = stack.guardians
        assert inner in children_of(outer)
        assert len(stack.pids) > 12  # both halves, three parts, two pods with three children each, database processes
        if victim.endswith("is stopped"):
            os.kill(inner, signal.SIGSTOP)
        pids = {"owner": stack.owner.pid, "outer guardian": outer, "inner guardian": inner}
        os.kill(pids.get(victim, stack.harness.pid), signal.SIGKILL)
        for process in (stack.owner, stack.harness):  # as their parents would
            if process.pid == pids.get(victim, stack.harness.pid):
                process.wait()

        async def gone() -> bool:
            return not stack.left()

        try:
            await eventually(gone, within_s=GONE_WITHIN_S, what="end")
        except DeadlineError:
            raise AssertionError(f"left over after {victim} was killed: {stack.left()}") from None


async def test_everything_is_gone_when_all_processes_are_asked_to_end_at_once(tmp_path: Path) -> None:
    with held(tmp_path) as stack:
        for pid in (*stack.guardians, stack.harness.pid, *stack.pids[2:]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

        async def gone() -> bool:
            return not stack.left()

        with contextlib.suppress(DeadlineError):
            await eventually(gone, within_s=GONE_WITHIN_S, what="all gone")
        assert stack.left() == ""


async def test_a_killed_guardian_is_told_at_the_next_use(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        assert target._processes is not None
        os.kill(guardian_pid(target), signal.SIGKILL)
        await asyncio.wait_for(asyncio.shield(target._processes.lost), GONE_WITHIN_S)
        with pytest.raises(PartFailedError, match=r"guardian: it was killed, or died, .*guardian\.log"):
            await target.pods()
        with pytest.raises(PartFailedError, match="guardian"):
            await target.act(Kill("backend-1"))


async def test_a_killed_part_is_told_at_the_next_use(bench: Bench) -> None:
    target = bench.target(bench.contract(redis=True))
    async with target:
        part = _part(target, "redis")
        os.kill(part, signal.SIGKILL)

        async def told() -> str:
            try:
                await target.pods()
            except PartFailedError as error:
                return str(error)
            return ""

        assert "redis: ended by itself with SIGKILL" in await eventually(told, within_s=5, what="error")
    assert [line.data["name"] for line in bench.lines() if (line.type, line.op) == ("part", "died")] == ["redis"]


async def test_a_stopped_stack_leaves_nothing(bench: Bench) -> None:
    target = bench.target(bench.contract(flags="stubborn,children", redis=True))
    async with target:
        stack = stack_folder(target)
        pids = with_descendants(guardian_pid(target))
        assert len(pids) == 11  # the guardian's halves, three parts, two pods with two children each
        assert left_of(pids, stack)[-1] == f"{stack} exists"
    assert left_of(pids, stack) == []
    assert bench.log("backend-1").exists()


async def test_closing_twice_and_closing_what_was_never_started_is_fine(bench: Bench) -> None:
    target = bench.target(bench.contract())
    await target.close()
    async with target:
        await target.close()


def _part(target: LocalTarget, name: str) -> int:
    assert target._parts is not None
    process = target._parts._all[name]._process
    assert process is not None
    return process.pid
