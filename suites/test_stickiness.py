"""`stickiness`: a client with the cookie stays on one replica, HTTP and WebSocket alike (guide, Test 5)."""

import pytest

from limpet.workloads import stickiness
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("stickiness", needs=("delete",))
async def test_stickiness(stack: Stack) -> None:
    """Fifty browsers, forged cookies, and the cookies of a replica that was deleted."""
    await stickiness.stick(stack)
