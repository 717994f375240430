"""`identity`: every process has its own instance id, the same wherever it is told (guide, Test 2)."""

import pytest

from limpet.workloads import identity
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("identity", needs=("delete", "kill"))
async def test_identity(stack: Stack) -> None:
    """Ten starts and restarts, and after each its log, header, heartbeat and API."""
    await identity.restart(stack)
