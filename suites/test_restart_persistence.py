"""`restart-persistence`: no acknowledged session is lost by a restart of anything (guide, Test 6)."""

import pytest

from limpet.workloads import restart_persistence
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("restart-persistence", needs=("delete", "kill", "rollout", "restart"), cost=4)
async def test_restart_persistence(stack: Stack) -> None:
    """A hundred sessions through pod delete, pod kill, roll-out and Redis restart each."""
    await restart_persistence.endure(stack)
