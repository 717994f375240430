"""`shared-view`: every replica shows the same sessions; a change is visible everywhere at once (guide, Test 4)."""

import pytest

from limpet.workloads import shared_view
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("shared-view", cost=2)
async def test_shared_view(stack: Stack) -> None:
    """Clients on all replicas work on the same sessions at the same time."""
    await shared_view.work_together(stack)
