"""`heartbeat`: each live replica beats at once and every interval; a dead one disappears in time (guide, Test 8)."""

import pytest

from limpet.workloads import heartbeat
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("heartbeat", needs=("redis", "kill", "pause"), alone=True)
async def test_heartbeat(stack: Stack) -> None:
    """Six beats of every replica, then a killed one and one whose loop stands still."""
    await heartbeat.listen(stack)
