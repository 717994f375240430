"""Faults that take a replica out of service and leave its process there: stopped, or without its Redis.

Both last for a while after they bit, so that what clients get meanwhile can be seen, and are taken back then.
"""

from redis.exceptions import RedisError

from limpet.clock import eventually, sleep
from limpet.errors import DeadlineError
from limpet.targets.base import Link, Pause, Pod, Resume, Target
from limpet.targets.ready import all_ready

EFFECT_WITHIN_S = 10.0


class _Silence:
    """Takes the oldest ready pod; `lasts_s` is the time from its effect to its end."""

    name = ""

    def __init__(self, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self._struck: Pod | None = None

    async def _choose(self, target: Target) -> Pod:
        ready = [pod for pod in await target.pods() if pod.phase == "ready"]
        if not ready:
            raise DeadlineError(f"{self.name}: no pod is ready")
        self._struck = ready[0]
        return ready[0]

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed."""
        await all_ready(target)


class PausePod(_Silence):
    """Stop the oldest ready pod's process. It bites when the pod is found not to be ready any more."""

    name = "pod pause"

    async def inject(self, target: Target) -> None:
        """Choose the oldest ready pod and stop it."""
        await target.act(Pause((await self._choose(target)).name))

    async def await_effect(self, target: Target) -> None:
        """It is not ready any more; then the fault lasts."""
        struck = self._struck

        async def silent() -> bool:
            return all(pod.phase != "ready" for pod in await target.pods() if struck and pod.name == struck.name)

        await eventually(silent, within_s=EFFECT_WITHIN_S, what=f"{self.name}: silence of {struck and struck.name}")
        await sleep(self._lasts_s)

    async def heal(self, target: Target) -> None:
        """Let it go on."""
        struck, self._struck = self._struck, None
        if struck:
            await target.act(Resume(struck.name))


class CutFromRedis(_Silence):
    """Cut the link between the oldest ready pod and Redis; whether the pod notices is its own affair."""

    name = "cut off from Redis"

    def __init__(self, lasts_s: float) -> None:
        super().__init__(lasts_s)
        self._connections: set[str] = set()

    async def inject(self, target: Target) -> None:
        """Choose the oldest ready pod and cut its link."""
        pod = await self._choose(target)
        self._connections = await _connections(target)
        await target.act(Link(pod.name, "redis", "cut"))

    async def await_effect(self, target: Target) -> None:
        """Connections that the server had are gone; then the fault lasts."""

        async def gone() -> bool:
            return bool(self._connections - await _connections(target))

        what = f"{self.name}: end of the connections of {self._struck and self._struck.name}"
        await eventually(gone, within_s=EFFECT_WITHIN_S, what=what)
        await sleep(self._lasts_s)

    async def heal(self, target: Target) -> None:
        """Let everything pass."""
        struck, self._struck = self._struck, None
        if struck:
            await target.act(Link(struck.name, "redis", "pass"))


async def _connections(target: Target) -> set[str]:
    """The ids of all connections that the server has, without those of the harness."""
    redis = target.redis()
    try:
        return {client["id"] for client in await redis.client_list() if client.get("name") != "limpet"}
    except RedisError as error:
        raise DeadlineError(f"Redis does not tell its connections: {error}") from error
    finally:
        await redis.aclose()
