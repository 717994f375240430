"""`continuity`: a watcher that reconnects misses nothing, sees nothing twice and nothing out of order.

Without faults: six sessions, two of which speak fast, with three or four watchers each on all replicas. They stay, join
in the middle, begin with the first message, read slowly, move, pause, come back all at once, from beyond the end, with
the stream of another session, and after the session's end. Enough is 20 reconnects over all replicas, 1,000 messages
judged, 500 of them got by several watchers, 12 joins, 4 resumes that cannot be granted, and the end of every session.
"""

import pytest

from limpet.workloads import continuity
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("continuity", cost=2)
async def test_continuity(stack: Stack) -> None:
    """Many watchers of every session, who leave and come back by choice."""
    await continuity.watch(stack)
