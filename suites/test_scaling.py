"""`scaling`: 2 -> 3 -> 5 -> 2 replicas under traffic lose and fail nothing (guide, Test 7)."""

import pytest

from limpet.workloads import scaling
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("scaling", needs=("redis", "scale"), cost=3)
async def test_scaling(stack: Stack) -> None:
    """Every step under traffic, with the registrations and the new work after it."""
    await scaling.grow_and_shrink(stack)
