"""The process that the user started, and ending with it.

Worker processes outlive a killed controller by seconds; by following the owner they end as soon as it does.
"""

import os
import select
import sys
import threading

from limpet.verdict import EXIT_HARNESS

OWNER_PID = "LIMPET_OWNER_PID"


def owner_pid() -> int:
    """The process that the user started: this one, unless the environment names another."""
    text = os.environ.get(OWNER_PID, "")
    return int(text) if text.isdigit() else os.getpid()


def end_with_owner() -> None:
    """Make this process end, at once and without clean-up, when its owner ends; stacks are ended by their guardians."""
    owner = owner_pid()
    if owner == os.getpid() or sys.platform != "linux":
        return
    try:
        handle = os.pidfd_open(owner)
    except ProcessLookupError:
        os._exit(EXIT_HARNESS)

    def follow() -> None:
        select.select([handle], [], [])
        os._exit(EXIT_HARNESS)

    threading.Thread(target=follow, name="follow owner", daemon=True).start()
