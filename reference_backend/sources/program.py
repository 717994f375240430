"""A program on a leash (leash.py): started, read, and ended for certain."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
CHUNK_BYTES = 65_536
COMPLAINT_BYTES = 4_096
OVERDUE_S = 1.0


class Program:
    """Made by `start`; whoever started it calls `stop`, whatever happens in between."""

    def __init__(self, process: Process, grace_s: float) -> None:
        self._process = process
        self._grace_s = grace_s
        self._complaint = bytearray()
        self._complaining = asyncio.create_task(self._read_complaint())

    @classmethod
    async def start(cls, command: Sequence[str], surroundings: Mapping[str, str], *, grace_s: float) -> "Program":
        """Start `command`, whose first word is a path; `grace_s` lies between SIGINT and SIGKILL.

        Raises:
            OSError: no process can be started. That the program itself cannot, its exit code says.
        """
        leash = [sys.executable, "-I", "-S", str(LEASH), str(grace_s), *command]
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *leash,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(surroundings),
                limit=CHUNK_BYTES,
                start_new_session=True,
            )
        )
        try:
            return cls(await asyncio.shield(starting), grace_s)
        except asyncio.CancelledError:
            # Cancelled half-way it would run on with nobody to end it.
            await cls(await starting, grace_s).stop()
            raise

    async def read(self) -> bytes:
        """The next piece of its output; empty at its end."""
        assert self._process.stdout is not None
        return await self._process.stdout.read(CHUNK_BYTES)

    async def ended(self) -> tuple[int, str]:
        """Wait until it has ended by itself and its output was read; gives exit code and the last of its complaints."""
        await self._complaining
        return await self._process.wait(), self._complaint.decode(errors="replace")

    async def stop(self) -> None:
        """End it, unless it has ended: SIGINT, and after the grace SIGKILL. Nothing of it is left when this returns."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        ending = asyncio.gather(self._drain(), self._complaining, self._process.wait())
        try:
            async with asyncio.timeout(self._grace_s + OVERDUE_S):
                await ending
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _drain(self) -> None:
        while await self.read():
            pass

    async def _read_complaint(self) -> None:
        assert self._process.stderr is not None
        while piece := await self._process.stderr.read(CHUNK_BYTES):
            self._complaint += piece
            del self._complaint[:-COMPLAINT_BYTES]
