"""Runs a program that must not outlive the replica: `python -I -S leash.py GRACE_S PROGRAM [ARGUMENT...]`.

The replica holds the other end of this process's standard input and never writes to it. When that end is closed, by the
replica or by its death, the program gets SIGINT, which lets it tidy up in the cluster; what is left of it `GRACE_S`
seconds later gets SIGKILL, with all its descendants. Should this process be killed itself, the kernel kills the program
(Linux). The exit code is the program's, 128 + n if a signal n ended it, 127 if it could not be started.

Standard library only, one thread: it is started once for each gadget, and PR_SET_PDEATHSIG is tied to a thread.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
NOT_STARTED = 127
SIGNALLED = 128
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def prctl(option: int, value: int) -> None:
    """Set what Linux lets a process set about itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def start(command: list[str]) -> int:
    """Start the program in a session of its own, without input; gives its process id once it is itself."""
    leash = os.getpid()
    # Closed by the kernel when the program takes over: a SIGINT before that would be lost.
    taken_over, taking_over = os.pipe()
    pid = os.fork()
    if pid:
        os.close(taking_over)
        os.read(taken_over, 1)
        os.close(taken_over)
        return pid
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != leash:
            os._exit(NOT_STARTED)
        # Python ignores these; a program that inherits that would never notice that nobody reads it.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    os._exit(NOT_STARTED)


def signal_group(leader: int, number: int) -> None:
    """Signal the program and what shares its group; those that are gone do not matter."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def end_the_rest(leader: int) -> None:
    """Kill what the program left behind: its group, and what left the group and fell to this process."""
    own = f"/proc/self/task/{os.getpid()}/children"
    while True:
        signal_group(leader, signal.SIGKILL)
        with contextlib.suppress(OSError), open(own, "rb") as children:  # noqa: PTH123 - pathlib is slow to import
            for pid in map(int, children.read().split()):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def follow(leader: int, grace_s: float, woken: int) -> int:
    """Wait until the program has ended, by itself or because it had to; gives its exit code."""
    kill_at_s = 0.0
    waiting_for = [0, woken]
    while True:
        left_s = max(0.0, kill_at_s - time.monotonic()) if kill_at_s else None
        ready, _, _ = select.select(waiting_for, [], [], left_s)
        signals = os.read(woken, 4096) if woken in ready else b""
        pid = -1
        while pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == leader:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else SIGNALLED - code
        if kill_at_s and time.monotonic() >= kill_at_s:
            signal_group(leader, signal.SIGKILL)
            kill_at_s = time.monotonic() + grace_s
        elif not kill_at_s and (0 in ready or any(number in signals for number in ENDS)):
            signal_group(leader, signal.SIGINT)
            signal_group(leader, signal.SIGCONT)
            kill_at_s = time.monotonic() + grace_s
            waiting_for = [woken]


def main() -> int:
    """Run the program named by the arguments; gives its exit code."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (*ENDS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    leader = start(sys.argv[2:])
    # The replica sees the end of the program's output when the program closes it, not when this process ends.
    for descriptor in (1, 2):
        os.close(descriptor)
    code = follow(leader, float(sys.argv[1]), woken)
    end_the_rest(leader)
    return code


if __name__ == "__main__":
    os._exit(main())
