"""A process's descendants: finding, signalling and ending them, whatever state they are in.

Used by the guardian, which is isolated from installed packages: standard library only. What differs between systems
stands at the top; elsewhere than on Linux only process groups and direct children are reached.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

NOBODY = 65534
POSTGRES_GRACE_S = 0.4  # for an immediate shutdown, which also removes its shared memory
LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Set what Linux lets a process set about itself: 1 is PR_SET_PDEATHSIG, 36 PR_SET_CHILD_SUBREAPER."""
    if sys.platform == "linux":
        LIBC.prctl(option, value, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """Its direct children; those of all its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib costs more than the listing
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found


def watch(pid: int) -> int | None:
    """A file descriptor that is readable once the process has ended; None where there is no such thing."""
    return os.pidfd_open(pid) if sys.platform == "linux" else None


def drop_root(owned: str) -> None:
    """Be somebody else than root: in a user namespace or, where those are refused, `nobody`, who then gets `owned`."""
    uid, gid = os.getuid(), os.getgid()
    if sys.platform == "linux" and LIBC.unshare(0x10000000) == 0:  # CLONE_NEWUSER
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1", encoding="ascii")
        return
    Path(owned).parent.chmod(0o711)
    os.chown(owned, NOBODY, NOBODY)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


# Ending processes.


def with_descendants(pid: int) -> list[int]:
    """The process and all below it, as far as they can be seen at this moment."""
    found = [pid]
    for one in found:
        found += children_of(one)
    return found


def send(pids: Iterable[int], number: int) -> None:
    """Signal processes; those that are gone do not matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def send_group(leader: int, number: int) -> None:
    """Signal a process group, which no fork can slip out of."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def reap() -> Iterator[tuple[int, int]]:
    """Children that ended: pid and exit status (negative: the signal). Raises ChildProcessError when none is left."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def postmaster(stack: Path) -> tuple[int, int] | None:
    """PostgreSQL's process id and its System V shared memory id, from its lock file (sixth line: key and id)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (stack / "postgres" / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()
        return abs(int(lines[0])), int(lines[6].split()[1])
    return None


def end_all(stack: Path) -> None:
    """End every descendant and remove the stack's folder."""
    database = postmaster(stack)
    spared: set[int] = set()
    if database and database[0] in with_descendants(os.getpid()):
        spared = set(with_descendants(database[0]))
        send([database[0]], signal.SIGQUIT)
        send(spared, signal.SIGCONT)
    spare_until = time.monotonic() + POSTGRES_GRACE_S
    with contextlib.suppress(ChildProcessError):
        while True:
            if time.monotonic() > spare_until or (database and not Path(f"/proc/{database[0]}").exists()):
                spared = set()
            below = [pid for pid in with_descendants(os.getpid())[1:] if pid not in spared]
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    if (group := os.getpgid(pid)) not in (0, os.getpgrp()) and group not in spared:
                        send_group(group, signal.SIGKILL)
            send(below, signal.SIGKILL)
            list(reap())
            select.poll().poll(3)
    left = postmaster(stack)
    if left:  # it was killed before it could remove its segment
        LIBC.shmctl(left[1], 0, None)  # IPC_RMID
    remove(stack)


def remove(folder: Path) -> None:
    """Remove a folder and all in it."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(root, name))  # noqa: PTH108, PTH118 - a thousand files, within the time to end
        for name in folders:
            path = os.path.join(root, name)  # noqa: PTH118 - as above
            with contextlib.suppress(OSError):
                (os.unlink if os.path.islink(path) else os.rmdir)(path)  # noqa: PTH114 - as above
    with contextlib.suppress(OSError):
        folder.rmdir()


def belongs(pid: int, leader: int, mark: str) -> bool:
    """Whether an adopted process came from the one that led session `leader` and carried `mark` in its environment."""
    with contextlib.suppress(OSError):
        return (
            os.getsid(pid) == leader or f"LIMPET_PROCESS={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        )
    return False


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
