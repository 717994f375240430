"""`availability`: losing one replica fails only requests in flight or bound to it, for at most 1 s.

A replica is killed, cut off from its Redis, and stopped, one after the other, each time with six new clients.
Enough is 20 requests while each fault lasts, with clients bound to the replica that is lost, and 30 outside of faults.
"""

import pytest

from limpet.workloads import availability
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("availability", needs=("redis", "kill", "pause", "resume", "link"), cost=3)
async def test_availability(stack: Stack) -> None:
    """One replica is lost in each of three ways under load."""
    await availability.lose_replicas(stack)
