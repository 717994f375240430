"""Gadgets of a real cluster: Inspektor Gadget, run by its kubectl plugin.

The replica's own kubeconfig or service account decides what can be seen. The command runs on a leash (leash.py), so
that it ends with its session, with the replica, and with the replica's death.
"""

import asyncio
import math
import os
import shutil
import signal

from reference_backend.catalogue import GADGETS
from reference_backend.session import Session
from reference_backend.sources.base import Emit, SourceError
from reference_backend.sources.output import Document, IncompleteError, Lines
from reference_backend.sources.program import CHUNK_BYTES, Program

GRACE_S = 1.0  # between SIGINT and SIGKILL; less than an owner is given to stop a gadget for another replica
RESULT_WITHIN_S = 60.0  # of a snapshot, and of a profile after its duration
LINGER_S = 1.0  # for a program that goes on after its result
CLOSED_S = 5.0  # for one that has closed its output
PAUSE_S = 0.01  # after each full piece: a program that writes without end gets 6.5 MB/s and not the whole event loop
REASON_CHARS = 1_000
SIGNALLED = 128
NOT_ITS_BUSINESS = ("BACKEND_", "REDIS_URL", "DATABASE_URL")  # with passwords in them
SWITCHES = {
    "acceptOnly": "--accept-only",
    "connectOnly": "--connect-only",
    "failureOnly": "--failure-only",
    "paths": "--paths",
}
PLUGIN_MISSING = 'unknown command "gadget"'
INSTALL = "install the plugin where this replica runs: kubectl krew install gadget"


def arguments(session: Session) -> list[str]:
    """What follows `kubectl` on the command line, as Inspektor Gadget 0.55 has it."""
    command = ["gadget", "run", f"{session.type}:latest", "-n", session.namespace, "-o", "json"]
    if session.podName:
        command += ["--podname", session.podName]
    if session.containerName:
        command += ["--containername", session.containerName]
    for name, value in session.parameters.items():
        if name in SWITCHES:
            command += [SWITCHES[name]] if value else []
        elif name == "interval":
            # This one reads /proc and not a map, and calls its interval by another name.
            switch = "--interval" if session.type == "top_process" else "--map-fetch-interval"
            command += [switch, f"{value:g}s"]
        elif name == "maxEntries":
            command += ["--max-entries", str(int(value))]
        elif name == "duration":
            # An interval of 0 has the samples once, at the end.
            command += ["--timeout", str(math.ceil(value)), "--map-fetch-interval", "0"]
    return command


class Kubectl:
    """One run of `kubectl gadget run`. Another one begins at its own time."""

    position = None

    def __init__(self, session: Session, *, result_within_s: float = RESULT_WITHIN_S) -> None:
        self._session = session
        self._category = GADGETS[session.type].category
        self._result_within_s = result_within_s + session.parameters.get("duration", 0)

    async def run(self, emit: Emit) -> None:
        """As `Source.run` says; returns when the command ended with 0, and after a snapshot or a profile."""
        program = await self._start()
        try:
            if self._category in ("snapshot", "profile"):
                await self._result(program, emit)
            else:
                await self._lines(program, emit)
        finally:
            await program.stop()

    async def _start(self) -> Program:
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise SourceError(
                "kubectl is not on the PATH of this replica; install it there, with its plugin "
                "(kubectl krew install gadget), or choose another source"
            )
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith(NOT_ITS_BUSINESS)}
        try:
            return await Program.start([kubectl, *arguments(self._session)], surroundings, grace_s=GRACE_S)
        except OSError as error:
            raise SourceError(f"no process can be started for kubectl: {error}") from None

    async def _lines(self, program: Program, emit: Emit) -> None:
        lines = Lines()
        while piece := await program.read():
            for event in lines.feed(piece):
                emit(event)
            await _spare_the_loop(piece)
        for event in lines.end():
            emit(event)
        await self._ended(program)

    async def _result(self, program: Program, emit: Emit) -> None:
        document, found, incomplete = Document(), False, ""
        try:
            async with asyncio.timeout(self._result_within_s) as limit:
                while piece := await program.read():
                    for event in document.feed(piece):
                        emit(event)
                        found = True
                        limit.reschedule(asyncio.get_running_loop().time() + LINGER_S)
                    await _spare_the_loop(piece)
        except TimeoutError:
            if found:
                return
            raise SourceError(f"{self._named} wrote no whole result within {self._result_within_s:g} s") from None
        except IncompleteError as error:
            raise SourceError(f"{self._named}: {error}") from None
        try:
            for event in document.end():
                emit(event)
                found = True
        except IncompleteError as error:
            incomplete = str(error)
        # Why it broke off says more than that it did.
        await self._ended(program)
        if incomplete or not found:
            raise SourceError(f"{self._named}: {incomplete or 'ended without a result'}")

    async def _ended(self, program: Program) -> None:
        """Its output has ended: wait for the program itself. Raises SourceError unless all went well."""
        try:
            async with asyncio.timeout(CLOSED_S):
                code, complaint = await program.ended()
        except TimeoutError:
            raise SourceError(f"{self._named} closed its output and went on") from None
        if code == 0:
            return
        number = -code if code < 0 else code - SIGNALLED  # negative: of the leash
        how = f"ended by {signal.Signals(number).name}" if number in set(signal.Signals) else f"exit code {code}"
        said = "".join(c if c.isprintable() else " " for c in complaint)
        reason = f"{self._named}: {how}: {' '.join(said.split())[-REASON_CHARS:] or 'it said nothing'}"
        raise SourceError(f"{reason}; {INSTALL}" if PLUGIN_MISSING in complaint else reason)

    @property
    def _named(self) -> str:
        return f"kubectl gadget run {self._session.type}"


async def _spare_the_loop(piece: bytes) -> None:
    if len(piece) >= CHUNK_BYTES // 2:
        await asyncio.sleep(PAUSE_S)
