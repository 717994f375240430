"""Faults that take a replica away: deleted with grace, killed, or replaced with all others in a roll-out."""

from limpet.clock import eventually
from limpet.errors import DeadlineError
from limpet.targets.base import Action, Delete, Kill, Pod, RollOut, Target
from limpet.targets.ready import all_ready

EFFECT_WITHIN_S = 10.0


class _PodFault:
    """Takes the oldest ready pod; its process must be gone for the fault to have bitten."""

    name = ""

    def __init__(self) -> None:
        self._struck: Pod | None = None

    def _action(self, pod: Pod) -> Action:
        raise NotImplementedError

    async def inject(self, target: Target) -> None:
        """Choose the oldest ready pod and strike it."""
        ready = [pod for pod in await target.pods() if pod.phase == "ready"]
        if not ready:
            raise DeadlineError(f"{self.name}: no pod is ready")
        self._struck = ready[0]
        await target.act(self._action(self._struck))

    async def await_effect(self, target: Target) -> None:
        """The process that was struck does not serve any more."""
        struck = self._struck

        async def gone() -> bool:
            return all(
                (pod.name, pod.restarts) != (struck.name, struck.restarts) or pod.phase == "exited"
                for pod in await target.pods()
                if struck
            )

        await eventually(gone, within_s=EFFECT_WITHIN_S, what=f"{self.name}: end of {struck and struck.name}")

    async def heal(self, target: Target) -> None:
        """Nothing to take back: the target replaces it by itself."""

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed."""
        await all_ready(target)


class DeletePod(_PodFault):
    """Delete the oldest ready pod with its grace period."""

    name = "pod delete"

    def _action(self, pod: Pod) -> Action:
        return Delete(pod.name)


class KillPod(_PodFault):
    """SIGKILL the oldest ready pod's process."""

    name = "pod kill"

    def _action(self, pod: Pod) -> Action:
        return Kill(pod.name)


class ReplaceAll:
    """Roll out: every pod is replaced, one by one."""

    name = "roll-out"

    def __init__(self) -> None:
        self._before: set[str] = set()

    async def inject(self, target: Target) -> None:
        """Replace all pods."""
        self._before = {pod.name for pod in await target.pods()}
        await target.act(RollOut())

    async def await_effect(self, target: Target) -> None:
        """None of the pods that were there is left."""

        async def replaced() -> bool:
            return not self._before & {pod.name for pod in await target.pods()}

        await eventually(replaced, within_s=EFFECT_WITHIN_S, what="roll-out: end of the old pods")

    async def heal(self, target: Target) -> None:
        """Nothing to take back."""

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed."""
        await all_ready(target)
