"""A replica stands still for longer than its lease lives: its sessions pass to others, and then it goes on.

What it does then is what epochs are for: it still believes that it owns its sessions. The lease lives as long as it
really does, so this takes that long; the replica that has to renew its lease soonest is taken.
"""

from collections.abc import Sequence

from redis.exceptions import RedisError

from limpet.clock import eventually, sleep
from limpet.contract import Contract
from limpet.errors import DeadlineError, LimpetError
from limpet.targets.base import Pause, Pod, Resume, Target
from limpet.targets.ready import all_ready

EXPIRED_SLACK_S = 3.0
LOOKS = 1.5  # for dead replicas, that others have had by then
ADOPTED_S = 0.3
NOT_READY_WITHIN_S = 10.0


class PauseBeyondLease:
    """Stops one ready pod until its heartbeat is gone and others had time to take its sessions.

    Attributes:
        pod: the name of the one that is stopped, "" before.
    """

    name = "pause beyond the lease"

    def __init__(self, contract: Contract) -> None:
        self.pod = ""
        self._pattern = contract.redis.heartbeat or ""
        self._ttl_s = contract.timing.heartbeat_ttl_s or 0.0
        self._scan_s = contract.timing.takeover_scan_s or 0.0
        self._heartbeat = ""

    async def inject(self, target: Target) -> None:
        """Stop the ready pod whose lease ends soonest."""
        ready = [pod for pod in await target.pods() if pod.phase == "ready" and pod.instance]
        left_ms = await self._left_ms(target, ready)
        if not left_ms:
            raise DeadlineError(f"{self.name}: no ready replica has a heartbeat")
        chosen = min(ready, key=lambda pod: left_ms.get(pod.name, float("inf")))
        self.pod = chosen.name
        self._heartbeat = self._pattern.format(instance=chosen.instance)
        await target.act(Pause(chosen.name))

    async def unlisted(self, target: Target) -> None:
        """Wait until the target has noticed that it does not answer. Raises DeadlineError."""

        async def noticed() -> bool:
            return bool(self.pod) and all(pod.phase != "ready" for pod in await target.pods() if pod.name == self.pod)

        await eventually(noticed, within_s=NOT_READY_WITHIN_S, what=f"{self.pod} not ready")

    async def await_effect(self, target: Target) -> None:
        """Its heartbeat is gone, and stays so for long enough that others have looked."""
        redis = target.redis()

        async def gone() -> bool:
            try:
                return not await redis.exists(self._heartbeat)
            except RedisError:
                return False  # another fault may have taken the server away

        try:
            await eventually(gone, within_s=self._ttl_s + EXPIRED_SLACK_S, what=f"end of {self._heartbeat}")
        finally:
            await redis.aclose()
        await sleep(LOOKS * self._scan_s + ADOPTED_S)

    async def heal(self, target: Target) -> None:
        """Let it go on."""
        pod, self.pod = self.pod, ""
        if pod and any(one.name == pod and one.phase != "exited" for one in await target.pods()):
            await target.act(Resume(pod))

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed."""
        await all_ready(target)

    async def _left_ms(self, target: Target, pods: Sequence[Pod]) -> dict[str, int]:
        """Pod -> how long its lease lives if it is not renewed; those without one are left out."""
        redis = target.redis()
        try:
            lives = {pod.name: await redis.pttl(self._pattern.format(instance=pod.instance)) for pod in pods}
        except RedisError as error:
            raise LimpetError(f"{self.name}: {error}") from error
        finally:
            await redis.aclose()
        return {name: left_ms for name, left_ms in lives.items() if left_ms > 0}
