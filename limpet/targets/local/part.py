"""A part of the stack that is not a pod: it is started, answers, may be restarted, and must not die by itself.

Each part is one file beside this one and says how it is started, how one sees that it answers, and what ends it gently.
"""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from limpet.clock import eventually
from limpet.errors import DeadlineError, PartFailedError
from limpet.targets.local.logs import last_words
from limpet.targets.local.processes import Command, Process, Processes

START_S = 20.0
STOP_S = 10.0
PROBE_S = 0.01


class Part(ABC):
    """One part.

    Attributes:
        name: as users know it: "redis", "postgres", "ingress", "links".
        port: where it listens, on 127.0.0.1.
        log: its log file.
        failure: why it is not there although it should be; None while all is well.
    """

    end_signal = signal.SIGTERM

    def __init__(self, name: str, processes: Processes, log: Path, port: int = 0) -> None:
        self.name = name
        self.port = port
        self.log = log
        self.failure: PartFailedError | None = None
        self.on_death: Callable[[Part], None] = lambda _: None
        self._processes = processes
        self._process: Process | None = None
        self._stopping = False

    @abstractmethod
    def command(self) -> Command:
        """What starts it."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it can be used."""

    async def prepare(self) -> None:  # noqa: B027 - most parts have nothing to prepare
        """What has to be done once, before the first start."""

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises PartFailedError with its last words if it does not."""
        self._stopping = False
        process = self._process = await self._processes.start(self.command())
        process.ended.add_done_callback(lambda _: self._ended(process))

        async def up() -> bool:
            return not process.running or await self.answers()

        try:
            await eventually(up, within_s=START_S, what=f"{self.name} answers", every_s=PROBE_S)
        except DeadlineError:
            said = last_words(self.log, process.log_offset)
            raise PartFailedError(self.name, f"no answer within {START_S:g} s: {said}", str(self.log)) from None
        if not process.running:
            raise self._death(process)

    async def stop(self, *, hard: bool = False) -> None:
        """End it: gently, and by SIGKILL after STOP_S seconds, or by SIGKILL at once; with all its descendants."""
        if self._process is None or not self._process.running:
            return
        self._stopping = True
        if not hard:
            self._process.signal(self.end_signal)
            if await self._process.wait(STOP_S) is not None:
                return
        self._process.signal(signal.SIGKILL, tree=True)
        await self._process.wait()

    def release(self) -> None:
        """Expect its end from now on."""
        self._stopping = True

    def check(self) -> None:
        """Raise PartFailedError when it died by itself."""
        if self.failure:
            raise self.failure

    def _ended(self, process: Process) -> None:
        if not self._stopping:
            self.failure = self._death(process)
            self.on_death(self)

    def _death(self, process: Process) -> PartFailedError:
        end = said_status(process.ended.result())
        said = last_words(self.log, process.log_offset)
        return PartFailedError(self.name, f"ended by itself with {end}: {said}", str(self.log))


def said_status(status: int) -> str:
    """An exit status in words: `status 1`, `SIGKILL`."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # the real-time signals have no names
        return f"signal {-status}"
