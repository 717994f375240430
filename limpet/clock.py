"""Monotonic time, deadlines and waiting. The only module of the harness that sleeps.

All times of the harness are nanoseconds of one monotonic clock that every process of this machine shares
(CLOCK_MONOTONIC), so lines of several history files can be compared. Times that a server reports are data.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from limpet.errors import DeadlineError

T = TypeVar("T")

NS_PER_S = 1_000_000_000


def now_ns() -> int:
    """Now, in nanoseconds of the monotonic clock."""
    return time.monotonic_ns()


def unix_s() -> float:
    """Wall-clock time in seconds; to name run directories and to compare with times that a server writes."""
    return time.time()


async def sleep(duration_s: float) -> None:
    """Let `duration_s` seconds pass: the pace of a workload, or a fault's length; never to wait for an effect."""
    await asyncio.sleep(max(0.0, duration_s))


class Deadline:
    """A moment in the future, fixed when it is made."""

    __slots__ = ("at_ns", "within_s")

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s
        self.at_ns = now_ns() + int(within_s * NS_PER_S)

    def left_s(self) -> float:
        """Seconds left, 0.0 when it has passed."""
        return max(0.0, (self.at_ns - now_ns()) / NS_PER_S)

    def passed(self) -> bool:
        """Whether the moment has come."""
        return now_ns() >= self.at_ns


async def eventually(
    probe: Callable[[], Awaitable[T | None]], *, within_s: float, what: str, every_s: float = 0.02
) -> T:
    """Ask `probe` until its answer is true, and return that answer.

    The first probe is made at once. The pause between probes grows from `every_s` to ten times that.

    Raises:
        DeadlineError: `what` did not come within `within_s` seconds; the message has the last answer.
    """
    deadline = Deadline(within_s)
    pause_s = every_s
    while True:
        answer = await probe()
        if answer:
            return answer
        if deadline.passed():
            raise DeadlineError(f"{what}: not within {within_s:g} s (last seen: {answer!r})")
        await asyncio.sleep(min(pause_s, deadline.left_s()))
        pause_s = min(pause_s * 1.5, every_s * 10)
