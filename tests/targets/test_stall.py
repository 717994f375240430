import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from limpet.errors import UnsupportedError
from limpet.targets.local.stall import MainThread

TWO_THREADS = """
import os, threading, time
def beat(name):
    while True:
        os.write(1, f"{name}\\n".encode())  # in one piece
        time.sleep(0.02)
threading.Thread(target=beat, args=("thread",), daemon=True).start()
beat("main")
"""
GRANDCHILD = '"$0" -c "$1" & echo $!; wait'  # as pods are: a child of this process is waited for by asyncio


@dataclass
class Beating:
    pid: int
    out: asyncio.StreamReader

    async def names(self, count: int) -> set[str]:
        return {(await self.out.readline()).decode().strip() for _ in range(count)}


@pytest.fixture
async def beating() -> AsyncIterator[Beating]:
    shell = await asyncio.create_subprocess_exec(
        "sh", "-c", GRANDCHILD, sys.executable, TWO_THREADS, stdout=asyncio.subprocess.PIPE
    )
    assert shell.stdout
    process = Beating(int(await shell.stdout.readline()), shell.stdout)
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(shell.wait(), 10)


async def test_the_main_thread_alone_stands_still_and_goes_on(beating: Beating) -> None:
    assert await beating.names(20) == {"main", "thread"}
    stalled = MainThread(beating.pid)
    await stalled.begin()
    await beating.names(20)  # what was written before
    assert await beating.names(30) == {"thread"}
    await stalled.end()
    await stalled.end()
    assert await beating.names(80) == {"main", "thread"}


async def test_a_stalled_process_can_be_killed(beating: Beating) -> None:
    await beating.names(2)
    stalled = MainThread(beating.pid)
    await stalled.begin()
    os.kill(beating.pid, signal.SIGKILL)
    await stalled.end()


async def test_a_process_that_is_gone_cannot_be_stalled(beating: Beating) -> None:
    os.kill(beating.pid, signal.SIGKILL)
    await beating.out.read()
    with pytest.raises(UnsupportedError, match="refuses to trace"):
        await MainThread(beating.pid).begin()
