"""`session-record`: a session is in all its Redis keys while it lives and in none afterwards (guide, Test 3)."""

import pytest

from limpet.workloads import session_record
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("session-record", needs=("redis",))
async def test_session_record(stack: Stack) -> None:
    """Fifty whole lives over all replicas, with a look into Redis at every step."""
    await session_record.live_and_die(stack)
