"""Ending tasks for good.

A cancellation can be lost: code that waits with a time limit may take it for its own (bpo-37658 is one way), and a
client may turn it into an error of its own (redis-py does so now and then). A replica that waited for such a task would
need SIGKILL, so it is cancelled again, and named in the log.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

log = logging.getLogger(__name__)

HEED_S = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel all tasks, as often as it takes, and wait until they are over."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=HEED_S)
        for task in left:
            log.warning("%s did not heed its cancellation; again", task.get_name())
