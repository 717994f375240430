"""`drain`: a replica asked to stop finishes requests, hands over its sessions and closes streams with 1012.

A roll-out of all replicas with 12 sessions, one of which speaks fast, two watchers each, four clients, and three
requests under way at each replica when it is asked to stop. Enough is 100 requests meanwhile, two under way at each
stop, every watcher closed once, and every session still speaking when the last old replica is gone.
"""

import pytest

from limpet.workloads import drain
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("drain", needs=("rollout",), cost=3)
async def test_drain(stack: Stack) -> None:
    """All replicas are replaced under load."""
    await drain.roll_out(stack)
