"""`takeover`: an orphaned session gets exactly one new owner in time; the old one's appends are refused.

Three replicas with 24 watched sessions; three times the one that owns most is killed. In the same moment some of its
sessions are deleted, which must stay so. Once its last appends are kept on their way until others own its sessions, and
arrive then. Enough is 20 orphans, 20 watchers whose next event was waited for, 6 deletes in the moment of a kill, 500
appends and one that came late.
"""

import pytest

from limpet.workloads import takeover
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("takeover", needs=("redis", "kill", "scale"), cost=4)
async def test_takeover(stack: Stack) -> None:
    """Owners that die, and who has their sessions then."""
    await takeover.orphan(stack)
