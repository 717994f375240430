"""Faults that take a replica away: deleted with grace, killed, one too many, or replaced with all others."""

from limpet.clock import eventually
from limpet.errors import DeadlineError
from limpet.targets.base import Action, Delete, Kill, Pod, RollOut, Scale, Target
from limpet.targets.ready import READY_WITHIN_S, all_ready

EFFECT_WITHIN_S = 10.0


class _PodFault:
    """Takes one pod; its process must be gone for the fault to have bitten."""

    name = ""

    def __init__(self, pod: Pod | None = None) -> None:
        """`pod` None: the oldest that is ready."""
        self._struck = pod

    def _action(self, pod: Pod) -> Action:
        raise NotImplementedError

    async def inject(self, target: Target) -> None:
        """Strike it."""
        if self._struck is None:
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
    """Delete a pod with its grace period."""

    name = "pod delete"

    def _action(self, pod: Pod) -> Action:
        return Delete(pod.name)


class KillPod(_PodFault):
    """SIGKILL a pod's process."""

    name = "pod kill"

    def _action(self, pod: Pod) -> Action:
        return Kill(pod.name)


class KillAnother(KillPod):
    """The same while another fault lasts: it is over when as many are ready as were before."""

    def __init__(self) -> None:
        super().__init__()
        self._ready = 0

    async def inject(self, target: Target) -> None:
        """Kill it."""
        self._ready = await _ready(target)
        await super().inject(target)

    async def await_recovery(self, target: Target) -> None:
        """As many are ready and listed as were before."""

        async def back() -> bool:
            return await _ready(target) >= self._ready

        await eventually(back, within_s=READY_WITHIN_S, what=f"{self._ready} replicas ready and listed again")


async def _ready(target: Target) -> int:
    return sum(pod.phase == "ready" and pod.listed for pod in await target.pods())


class ScaleDown:
    """Have one replica less."""

    name = "scale down"

    def __init__(self) -> None:
        self._left = 0

    async def inject(self, target: Target) -> None:
        """Take the youngest away."""
        self._left = target.replicas - 1
        await target.act(Scale(self._left))

    async def await_effect(self, target: Target) -> None:
        """There are no more pods than that."""

        async def fewer() -> bool:
            return len(await target.pods()) == self._left

        await eventually(fewer, within_s=EFFECT_WITHIN_S, what=f"{self._left} replicas left")

    async def heal(self, target: Target) -> None:
        """Nothing to take back: it is what was wanted."""

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed."""
        await all_ready(target)


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
