"""One pod as a kubelet runs it: started, probed for readiness, restarted in place with back-off, ended with grace."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from limpet.clock import NS_PER_S, now_ns, sleep
from limpet.errors import LimpetError, PartFailedError
from limpet.targets.base import Phase, Pod
from limpet.targets.local import http
from limpet.targets.local.logs import InstanceLog, last_words
from limpet.targets.local.part import said_status
from limpet.targets.local.processes import Command, Process, Processes

START_S = 30.0  # to get ready for the first time
START_TRIES = 3
BACK_OFF_S = 0.5  # before the second restart of a row; the first is at once, each later one waits twice as long
BACK_OFF_S_MAX = 10.0
SETTLED_S = 10.0  # a life this long ends the row
PROBE_TIMEOUT_S = 1.0
PROBE_TIMEOUTS = 2  # in a row, to count as not ready; a definite answer counts at once
PROBE_READY_S = 0.25
PROBE_UNREADY_S = 0.1
PROBE_REFUSED_S = 0.03  # costs next to nothing, and what is found late here makes every start late


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What a pod is.

    Attributes:
        port: where it serves, on `host`.
        source: the address that its connections to Redis and the database come from.
        command: what starts its process.
        probe: the path by which readiness is probed; None: it is ready when it takes connections.
        instance_pattern: how its log names the instance id.
    """

    name: str
    host: str
    port: int
    source: str
    command: Command
    probe: str | None
    instance_pattern: str | None

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


class LocalPod:
    """One pod.

    Attributes:
        phase: as in base.Pod; it is to be in the endpoints exactly while it is `ready`.
        ending: set once it was asked to go.
        settled: done when it got ready for the first time (None) or failed to too often (why).
    """

    def __init__(
        self, spec: PodSpec, processes: Processes, changed: Callable[["LocalPod", str, dict[str, Any]], None]
    ) -> None:
        self.spec = spec
        self.phase: Phase = "pending"
        self.ending = asyncio.Event()
        self.settled: asyncio.Future[PartFailedError | None] = asyncio.get_running_loop().create_future()
        self._processes = processes
        self._changed = changed
        self._process: Process | None = None
        self._starting = asyncio.Lock()
        self._restarts = 0
        self._started_ns = now_ns()
        self._log: InstanceLog | None = None
        self._answer = http.Answer(0, "refused")  # to the last probe
        self._life = asyncio.create_task(self._live(), name=spec.name)

    @property
    def gone(self) -> bool:
        """Whether it has ended for good."""
        return self._life.done()

    def seen(self, *, listed: bool) -> Pod:
        """It as the target shows it."""
        return Pod(
            name=self.spec.name,
            address=self.spec.address,
            phase=self.phase,
            listed=listed,
            restarts=self._restarts,
            started_ns=self._started_ns,
            instance=self._log.instance() if self._log else "",
            pid=self._process.pid if self._process and self._process.running else 0,
        )

    async def until_ready(self) -> None:
        """Wait until it was ready once. Raises PartFailedError when that fails or takes START_S seconds."""
        done, _ = await asyncio.wait([self.settled], timeout=START_S)
        failure = self.settled.result() if done else self._not_ready()
        if failure:
            raise failure

    async def signal(self, number: signal.Signals) -> None:
        """Signal all its processes; after SIGKILL, wait for its end. Raises LimpetError when it has none just now."""
        process = self._present()
        process.signal(number, tree=True)
        if number == signal.SIGKILL:
            await process.wait()

    @property
    def pid(self) -> int:
        """Of its present process. Raises LimpetError when it has none just now."""
        return self._present().pid

    def _present(self) -> Process:
        if self._process is None or not self._process.running:
            raise LimpetError(f"pod {self.spec.name} has no process: it is {self.phase}")
        return self._process

    def leave(self) -> bool:
        """Leave the endpoints for good; False if it was asked to before."""
        if self.ending.is_set():
            return False
        self.ending.set()
        self._become("terminating", "terminating")
        return True

    async def end(self, *, first: bool, pre_stop_s: float, grace_s: float) -> None:
        """Wait for its end, after `leave`. The `first` to call it sees to that.

        SIGTERM after `pre_stop_s`, SIGKILL `grace_s` later; with no grace SIGKILL at once.
        """
        if first:
            async with self._starting:  # if it is just being started, it is ended then
                process = self._process
            if process and grace_s > 0 and await process.wait(pre_stop_s) is None:
                self._changed(self, "asked to stop", {})
                process.signal(signal.SIGTERM)
                await process.wait(grace_s)
            if process:
                process.signal(signal.SIGKILL, tree=True)
        await asyncio.wait([self._life])

    async def abandon(self) -> None:
        """Stop looking after it; its process is ended by others."""
        if self._process:
            self._process.ended.remove_done_callback(self._ended)
        self._life.cancel()
        await asyncio.wait([self._life])

    async def _live(self) -> None:
        crashes = 0
        while True:
            async with self._starting:
                if self.ending.is_set():
                    return
                process = await self._start()
                if process is None:
                    return
            probing = asyncio.create_task(self._probe(process))
            try:
                await process.wait()
            finally:
                probing.cancel()
                await asyncio.wait([probing])
            if self.ending.is_set():
                return
            if now_ns() - self._started_ns > SETTLED_S * NS_PER_S:
                crashes = 0
            crashes += 1
            if crashes == START_TRIES and not self.settled.done():
                self.settled.set_result(self._failed(f"ended {crashes} times before it was ready"))
            if crashes > 1:
                pause_s = min(BACK_OFF_S * 2 ** (crashes - 2), BACK_OFF_S_MAX)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ending.wait(), pause_s)
            self._restarts += not self.ending.is_set()

    async def _start(self) -> Process | None:
        try:
            process = await self._processes.start(self.spec.command)
        except PartFailedError as error:  # no such program, or the guardian is dead: trying again is of no use
            if not self.settled.done():
                self.settled.set_result(error)
            self._become("exited", "exited", error=str(error))
            return None
        self._process = process
        self._started_ns = now_ns()
        self._log = InstanceLog(process.log, process.log_offset, self.spec.instance_pattern)
        process.ended.add_done_callback(self._ended)
        if not self.ending.is_set():
            self._become("pending", "restarted" if self._restarts else "started", pid=process.pid)
        return process

    async def _probe(self, process: Process) -> None:
        timeouts = 0
        while process.running:
            answer = self._answer = await self._ask()
            if self.ending.is_set() or not process.running:
                return
            timeouts = timeouts + 1 if answer.failure == "timeout" else 0
            if answer.success and self.phase != "ready":
                self._become("ready", "ready")
                if not self.settled.done():
                    self.settled.set_result(None)
            elif not answer.success and self.phase == "ready" and timeouts in (0, PROBE_TIMEOUTS):
                self._become("not ready", "not ready", why=str(answer))
            if answer.failure == "refused":
                await sleep(PROBE_REFUSED_S)
            else:
                await sleep(PROBE_READY_S if self.phase == "ready" else PROBE_UNREADY_S)

    async def _ask(self) -> http.Answer:
        host, port = self.spec.host, self.spec.port
        if self.spec.probe is None:
            return await http.connects(host, port, within_s=PROBE_TIMEOUT_S)
        return await http.get(host, port, self.spec.probe, within_s=PROBE_TIMEOUT_S)

    def _ended(self, ended: asyncio.Future[int]) -> None:
        self._become("exited", "exited", status=ended.result())

    def _become(self, phase: Phase, event: str, **data: Any) -> None:
        self.phase = phase
        self._changed(self, event, data)

    def _not_ready(self) -> PartFailedError:
        asked = f"GET {self.spec.probe}" if self.spec.probe else "a connection"
        return self._failed(f"not ready after {START_S:g} s, {asked} at {self.spec.address}: {self._answer}")

    def _failed(self, what: str) -> PartFailedError:
        process = self._process
        if process is None:
            return PartFailedError(self.spec.name, what, str(self.spec.command.log))
        end = "" if process.running else f", last with {said_status(process.ended.result())}"
        said = last_words(process.log, process.log_offset)
        logged = f"it logged last: {said}" if said else "it logged nothing"
        return PartFailedError(self.spec.name, f"{what}{end}; {logged}", str(process.log))
