"""Waiting for a target to be whole."""

from collections.abc import Sequence

from limpet.clock import eventually
from limpet.targets.base import Pod, Target

READY_WITHIN_S = 30.0


async def all_ready(target: Target) -> list[Pod]:
    """Wait until exactly the declared replicas are ready and listed. Raises DeadlineError."""

    async def probe() -> list[Pod] | None:
        pods: Sequence[Pod] = await target.pods()
        settled = len(pods) == target.replicas and all(pod.phase == "ready" and pod.listed for pod in pods)
        return list(pods) if settled else None

    return await eventually(probe, within_s=READY_WITHIN_S, what=f"all {target.replicas} replicas ready and listed")
