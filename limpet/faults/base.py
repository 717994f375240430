"""What a fault is: four verbs, and healing always runs.

`strike` carries one out and writes each step into the history as a line `fault`: `inject`, `effect` (or `no effect`),
`heal`, `recovered` (or `not recovered`). It judges nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from limpet.errors import DeadlineError, PartFailedError
from limpet.history import History
from limpet.targets.base import Target


class Fault(Protocol):
    """One disturbance of a target. `name` as it appears in histories: `delete pod`."""

    @property
    def name(self) -> str:
        """As it appears in histories and findings."""
        ...

    async def inject(self, target: Target) -> None:
        """Disturb."""
        ...

    async def await_effect(self, target: Target) -> None:
        """Wait for the proof that it bit. Raises DeadlineError when it did not."""
        ...

    async def heal(self, target: Target) -> None:
        """Take the disturbance back; doing it again changes nothing."""
        ...

    async def await_recovery(self, target: Target) -> None:
        """Wait until the target is as before. Raises DeadlineError when it is not in time."""
        ...


async def strike(fault: Fault, target: Target, history: History) -> bool:
    """Inject, await the effect, heal, await recovery. Whether the target recovered."""

    def note(phase: str, **why: str) -> None:
        history.note("fault", phase, fault=fault.name, **why)

    note("inject")
    try:
        await fault.inject(target)
        await _effect(fault, target, note)
    except (DeadlineError, PartFailedError) as error:  # the target could not even carry it to its end
        note("not recovered", why=str(error))
        return False
    finally:
        await asyncio.shield(fault.heal(target))
        note("heal")
    try:
        await fault.await_recovery(target)
    except (DeadlineError, PartFailedError) as error:
        note("not recovered", why=str(error))
        return False
    note("recovered")
    return True


async def _effect(fault: Fault, target: Target, note: Callable[..., None]) -> None:
    try:
        await fault.await_effect(target)
    except DeadlineError as error:
        note("no effect", why=str(error))
    else:
        note("effect")
