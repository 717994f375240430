"""One guarantee's run: a stack is started, a suite's workload acts on it, and the record is judged.

A stack is fresh for each guarantee (it starts in about a second), so that what one suite breaks no other suite sees.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from limpet import contract as contracts
from limpet import history as histories
from limpet.checkers import (
    affinity,
    availability,
    continuity,
    drain,
    heartbeat,
    history,
    identity,
    interleavings,
    replicas,
    restart_persistence,
    scaling,
    session_record,
    shared_view,
    stickiness,
    takeover,
)
from limpet.clock import eventually, unix_s
from limpet.contract import Contract
from limpet.errors import DeadlineError
from limpet.history import History, Section
from limpet.targets.local.target import LocalTarget
from limpet.verdict import Judgement, Part, Verdict
from limpet.workloads.stack import Stack

Checker = Callable[[Section, Contract], Judgement]

CHECKERS: Mapping[str, Checker] = {
    "replicas": replicas.check,
    "identity": identity.check,
    "session-record": session_record.check,
    "shared-view": shared_view.check,
    "stickiness": stickiness.check,
    "affinity": affinity.check,
    "restart-persistence": restart_persistence.check,
    "scaling": scaling.check,
    "heartbeat": heartbeat.check,
    "locking": interleavings.check,
    "history": history.check,
    "continuity": continuity.check,
    "takeover": takeover.check,
    "drain": drain.check,
    "availability": availability.check,
}
CONTRACT_COPY = "contract.toml"
TURNS = ".turns"  # a file that the workers of a run lock; not empty once one runs alone
FIRST_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made with.

    Attributes:
        contract: of the backend under test.
        directory: the run directory; made when first needed.
        target: which kind of target.
        replicas: how many the target is declared to have.
        seed: of everything random.
        port: the ingress's, None for any free one.
        owner_pid: the process that the user started; when it ends, so does every stack.
    """

    contract: Contract
    directory: Path
    target: str
    replicas: int
    seed: int
    port: int | None
    owner_pid: int


def new_directory(what: str, parent: Path = Path("runs")) -> Path:
    """The name of a new run directory, `runs/<UTC time>-<what>`; nothing is made yet."""
    moment = datetime.fromtimestamp(unix_s(), UTC).strftime("%Y%m%dT%H%M%S")
    return next(
        path
        for path in (parent / f"{moment}-{what}{more}" for more in ("", *(f"-{n}" for n in range(2, 1000))))
        if not path.exists()
    )


@asynccontextmanager
async def turn(settings: Settings, *, alone: bool, behind: bool) -> AsyncIterator[Callable[[], None]]:
    """This worker's turn: together with others, or `alone`, when what is measured needs a quiet machine.

    Gives what lets the others begin, for one that needs to be alone no longer. Those `behind` one that will be alone
    let it go first: its time is long, and theirs fits beside what it does afterwards.
    """
    settings.directory.mkdir(parents=True, exist_ok=True)
    with (settings.directory / TURNS).open("a") as file:

        async def first_has_begun() -> bool:
            return os.fstat(file.fileno()).st_size > 0

        if behind and not alone:
            with suppress(DeadlineError):  # it could not begin; nobody waits for it any longer
                await eventually(first_has_begun, within_s=FIRST_WITHIN_S, what="the suite that runs alone")
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if alone:
            file.write("alone\n")
            file.flush()
        yield lambda: fcntl.flock(file, fcntl.LOCK_SH)


@asynccontextmanager
async def stack(settings: Settings, guarantee: str) -> AsyncIterator[Stack]:
    """A running stack with the history of `guarantee`. Raises LimpetError when it cannot be started."""
    logs = settings.directory / "logs" / guarantee
    logs.mkdir(parents=True, exist_ok=True)
    _copy_contract(settings)
    history = History(history_path(settings.directory, guarantee), guarantee)
    try:
        history.note(
            "target",
            settings.target,
            replicas=settings.replicas,
            fresh=True,
            seed=settings.seed,
            contract=settings.contract.name,
            limpet=version("limpet"),
        )
        target = LocalTarget(
            settings.contract,
            history,
            logs,
            replicas=settings.replicas,
            port=settings.port,
            owner_pid=settings.owner_pid,
        )
        async with target, Stack(target, history, settings.seed) as running:
            yield running
    finally:
        history.close()


def judge(section: Section, contract: Contract) -> Judgement:
    """The judgement of one stored history. A history that is not whole is never held."""
    checker = CHECKERS.get(section.guarantee)
    if checker is None:
        reason = f"this version has no checker for {section.guarantee!r}"
        return Judgement(section.guarantee, reason=reason, set_to=Verdict.UNKNOWN)
    judgement = replace(checker(section, contract), duration_s=section.duration_s)
    stopped = "; ".join(str(line.data.get("why")) for _, line in section.of("stopped"))
    doubts = [Part(name, doubt=why) for name, why in (("history", section.damage), ("workload", stopped)) if why]
    return replace(judgement, parts=(*judgement.parts, *doubts))


def rejudge(directory: Path, guarantee: str) -> Judgement:
    """Judge a run's stored history again, by the contract that was kept with it. Raises LimpetError."""
    section = histories.read(history_path(directory, guarantee))
    return judge(section, contracts.load(directory / CONTRACT_COPY))


def history_path(directory: Path, guarantee: str) -> Path:
    """Where the history of a guarantee lies in a run directory."""
    return directory / f"history-{guarantee}.jsonl"


def _copy_contract(settings: Settings) -> None:
    copy = settings.directory / CONTRACT_COPY
    if not copy.exists():
        copy.write_bytes(settings.contract.path.read_bytes())
