"""`history`: every streamed event is in the history once, searchable, replayable (guide, Test 10)."""

import pytest

from limpet.workloads import history
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("history", cost=2)
async def test_history(stack: Stack) -> None:
    """Gadgets watched, watched late, watched twice and not watched, and what was recorded of them."""
    await history.record(stack)
