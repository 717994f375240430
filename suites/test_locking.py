"""`locking`: one holder at a time, who alone releases; a stale holder cannot write (guide, Test 9)."""

import pytest

from limpet.races.suite import draw_interleavings
from limpet.workloads import locking
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("locking", needs=("redis", "link"), cost=5)
async def test_locking(stack: Stack) -> None:
    """Clients quarrel over sessions; a holder is stopped until another has its lock; interleavings are drawn."""
    await locking.contend_and_outlive(stack)
    await draw_interleavings(stack)
