"""`locking`: one holder at a time, who alone releases; a stale holder cannot write (guide, Test 9)."""

import pytest

from limpet.workloads import locking
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("locking", needs=("redis", "link"), cost=2)
async def test_locking(stack: Stack) -> None:
    """Clients of all replicas quarrel over sessions; then a holder is stopped until another has its lock."""
    await locking.contend_and_outlive(stack)
