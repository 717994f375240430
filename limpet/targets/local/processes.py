"""The harness's side of the guardian: start a process, signal it, learn of its end.

`Processes` starts the guardian and keeps the connection to it. If that breaks without having been closed, the guardian
is dead and its other half is ending the stack: `lost` is set, every running process counts as ended, and nothing can be
started any more.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpet.errors import PartFailedError

START_S = 10.0  # a machine that needs longer to start one small process is of no use
END_S = 10.0
GUARDIAN = Path(__file__).with_name("guardian.py")


@dataclass(frozen=True, slots=True)
class Command:
    """What to start.

    Attributes:
        name: for error messages: "backend-2".
        log: where its standard output and error are appended.
        unprivileged: a folder of its own, if it refuses to run as root; it is given to whom it runs as.
        death_signal: what it gets from the kernel when the guardian is killed.
    """

    name: str
    argv: Sequence[str]
    log: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    unprivileged: Path | None = None
    death_signal: signal.Signals = signal.SIGKILL


class Process:
    """A started process.

    Attributes:
        pid: its process id, which is also that of its session and its process group.
        log: its log file; `log_offset` is where it began when this process started.
        ended: done when it has ended, and with it all that it left behind; its exit status, negative for a signal.
    """

    def __init__(self, pid: int, command: Command, log_offset: int, owner: "Processes") -> None:
        self.pid = pid
        self.name = command.name
        self.log = command.log
        self.log_offset = log_offset
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._owner = owner

    @property
    def running(self) -> bool:
        """Whether its end has not been told."""
        return not self.ended.done()

    def signal(self, number: signal.Signals, *, tree: bool = False) -> None:
        """Signal it, with `tree` also all its descendants; nothing happens when it has ended."""
        if self.running:
            self._owner.order(do="signal", pid=self.pid, signal=int(number), tree=tree)

    async def wait(self, within_s: float | None = None) -> int | None:
        """Its exit status once it has ended; None if that is not within `within_s` seconds."""
        done, _ = await asyncio.wait([self.ended], timeout=within_s)
        return self.ended.result() if done else None


class Processes:
    """All processes of one stack.

    Attributes:
        folder: the stack's folder, made by the guardian and removed by it.
        lost: done when the guardian died without being asked to.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._guardian: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._orders = 0
        self._starting: dict[int, tuple[Command, asyncio.Future[Process]]] = {}
        self._running: dict[int, Process] = {}

    async def open(self, owner_pid: int) -> None:
        """Start the guardian; it also ends the stack when the process `owner_pid` ends."""
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-I", "-S", str(GUARDIAN), str(theirs.fileno()), str(self.folder), str(os.getpid())]
        with theirs, self.log.open("ab") as log:
            self._guardian = subprocess.Popen(  # noqa: ASYNC220 - a fork and an exec, a millisecond
                [*argv, str(owner_pid)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal must not reach it
                env={"PATH": os.environ.get("PATH", os.defpath), "LIMPET_PROCESS": f"{self.folder.name}/guardian"},
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(START_S):
                hello = await reader.readline()
        except TimeoutError:
            hello = b""
        if not hello:
            await self.close()
            raise PartFailedError("guardian", f"did not start within {START_S:g} s", str(self.log))
        self._listener = asyncio.create_task(self._listen(reader))

    async def start(self, command: Command) -> Process:
        """Start a process.

        Raises:
            PartFailedError: the system refused (no such program, no permission), or the guardian is dead.
        """
        self._orders += 1
        started: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._starting[self._orders] = command, started
        self.order(
            do="spawn",
            id=self._orders,
            argv=list(command.argv),
            log=str(command.log),
            cwd=str(command.cwd),
            env=dict(command.env),
            unprivileged=str(command.unprivileged or ""),
            death_signal=int(command.death_signal),
        )
        return await started

    def order(self, **order: Any) -> None:
        """Send an order to the guardian. Raises PartFailedError when it is dead."""
        self.check()
        assert self._writer is not None  # check() has seen to it
        self._writer.write(json.dumps(order).encode() + b"\n")

    def check(self) -> None:
        """Raise PartFailedError when the guardian is dead."""
        if self._writer is None or self.lost.done():
            raise PartFailedError("guardian", "it was killed, or died, and all of its stack with it", str(self.log))

    async def close(self) -> None:
        """Have the guardian end everything, and wait until it is gone."""
        if self._listener:
            self._listener.cancel()
            await asyncio.wait([self._listener])
        if self._writer:
            self._writer.close()
            self._writer = None
        if self._guardian:
            try:
                await asyncio.to_thread(self._guardian.wait, END_S)
            except subprocess.TimeoutExpired:
                self._guardian.kill()  # its other half then ends everything
                await asyncio.to_thread(self._guardian.wait)
            self._guardian = None
        self._end_all()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionResetError):  # it was killed before it read the last orders
            while line := await reader.readline():
                self._take(json.loads(line))
        self.lost.set_result(None)
        self._end_all()
        if self._guardian:
            await asyncio.to_thread(self._guardian.wait)  # leaves no zombie

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "exited":
            self._running.pop(event["pid"]).ended.set_result(event["status"])
            return
        command, started = self._starting.pop(event["id"])
        if event["event"] == "refused":
            reason = f"cannot start {command.argv[0]}: {event['reason']}"
            _settle(started, PartFailedError(command.name, reason, str(command.log)))
        else:
            process = Process(event["pid"], command, event["offset"], self)
            self._running[process.pid] = process
            _settle(started, process)

    def _end_all(self) -> None:
        for process in self._running.values():
            process.ended.set_result(-signal.SIGKILL)
        self._running.clear()
        for command, started in self._starting.values():
            _settle(started, PartFailedError(command.name, "the guardian ended while starting it", str(self.log)))
        self._starting.clear()


def _settle(future: asyncio.Future[Process], result: Process | PartFailedError) -> None:
    if future.done():  # whoever waited was cancelled
        return
    if isinstance(result, Process):
        future.set_result(result)
    else:
        future.set_exception(result)
