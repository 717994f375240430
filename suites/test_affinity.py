"""`affinity`: `ws:{id}` names a replica with an open WebSocket of the session (guide, Test 5)."""

import pytest

from limpet.workloads import affinity
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("affinity", needs=("redis", "kill"), cost=4)
async def test_affinity(stack: Stack) -> None:
    """Two watchers connect, move, close and lose their replica in every order."""
    await affinity.come_and_go(stack)
