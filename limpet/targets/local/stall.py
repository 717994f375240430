"""Stopping the main thread of a process and no other, as a blocked event loop would stand still.

A stop signal stops all threads. A tracer can stop one (ptrace(2): PTRACE_SEIZE, PTRACE_INTERRUPT), which needs no
rights over an own descendant. Only the thread that attached can let go, so each stall has a thread of its own; if the
harness dies, the kernel lets go by itself. Not for a child of this very process: whoever waits for that would be told
of its stop, too.
"""

import asyncio
import ctypes
import os
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress

from limpet.errors import UnsupportedError

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WAIT_FOR_ANY_CHILD = 0x40000000  # __WALL: threads that another process made, too


def unsupported() -> str:
    """Why this machine cannot do it, "" when it can."""
    return "" if sys.platform == "linux" else "only Linux can stop one thread of another process"


class MainThread:
    """The main thread of one process, which stands still from `begin` to `end`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._began: Future[None] = Future()
        self._thread = threading.Thread(target=self._hold, name=f"stall {pid}", daemon=True)

    async def begin(self) -> None:
        """Stop the thread. Raises UnsupportedError when the kernel does not allow it."""
        self._thread.start()
        await asyncio.wrap_future(self._began)

    async def end(self) -> None:
        """Let it go on; doing it again changes nothing."""
        self._over.set()
        await asyncio.to_thread(self._thread.join)

    def _hold(self) -> None:
        try:
            self._ptrace(PTRACE_SEIZE)
            self._ptrace(PTRACE_INTERRUPT)
            os.waitpid(self._pid, WAIT_FOR_ANY_CHILD)
        except (OSError, AttributeError) as error:
            self._began.set_exception(UnsupportedError("stall", f"the kernel refuses to trace a pod: {error}"))
            return
        self._began.set_result(None)
        self._over.wait()
        try:
            self._ptrace(PTRACE_DETACH)
        except ProcessLookupError:  # it was killed meanwhile; its parent learns of that when its tracer has
            with suppress(ChildProcessError):
                os.waitpid(self._pid, WAIT_FOR_ANY_CHILD)

    def _ptrace(self, request: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
        libc.ptrace.restype = ctypes.c_long
        if libc.ptrace(request, self._pid, None, None) == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


class Stalls:
    """The main threads of one stack's pods that stand still just now."""

    def __init__(self) -> None:
        self._held: dict[str, MainThread] = {}

    async def begin(self, pod: str, pid: int) -> None:
        """Stop the main thread of a pod's process. Raises UnsupportedError when the kernel does not allow it."""
        await self.end(pod)
        thread = MainThread(pid)
        await thread.begin()
        self._held[pod] = thread

    async def end(self, pod: str) -> None:
        """Let the pod go on; nothing if it was not stopped."""
        thread = self._held.pop(pod, None)
        if thread:
            await thread.end()

    async def end_all(self) -> None:
        """Let all of them go on."""
        for pod in list(self._held):
            await self.end(pod)
