"""`continuity`: a watcher that reconnects misses nothing, sees nothing twice and nothing out of order.

Without faults first: six sessions, two of which speak fast, with three or four watchers each on all replicas. They
stay, join in the middle, begin with the first message, read slowly, move, pause, come back all at once, from beyond the
end, with the stream of another session, and after the session's end. Enough is 20 reconnects over all replicas, 1,000
messages judged, 500 of them got by several watchers, 12 joins, 4 resumes that cannot be granted, and the end of every
session.

Then through faults: 50 watchers of 20 sessions, while a replica is deleted, killed, stopped for longer than its lease
(and another killed meanwhile), taken away by a scale-down, all are replaced by a roll-out, and Redis is restarted.
Enough is that every fault bit, that all 50 got events again after it, and 10 interruptions; what was recorded is then
compared with what was streamed.
"""

import pytest

from limpet.workloads import continuity, endurance
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("continuity", cost=6)
async def test_continuity(stack: Stack) -> None:
    """Many watchers, who leave and come back by choice, and then are cut off by faults."""
    await continuity.watch(stack)
    await endurance.endure(stack)
