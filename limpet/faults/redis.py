"""Faults of the Redis server."""

from redis.exceptions import RedisError

from limpet.clock import eventually
from limpet.targets.base import Restart, Target
from limpet.targets.ready import all_ready

EFFECT_WITHIN_S = 10.0


class RestartRedis:
    """Stop the server with SIGTERM (or SIGKILL if `hard`) and start it again with its data."""

    def __init__(self, *, hard: bool = False) -> None:
        self._hard = hard
        self._run_before = ""

    @property
    def name(self) -> str:
        """As it appears in histories."""
        return "Redis kill" if self._hard else "Redis restart"

    async def inject(self, target: Target) -> None:
        """Restart the server."""
        self._run_before = await _run_id(target)
        await target.act(Restart("redis", hard=self._hard))

    async def await_effect(self, target: Target) -> None:
        """Another process answers: its run id is new."""

        async def new() -> bool:
            try:
                return await _run_id(target) not in ("", self._run_before)
            except (RedisError, OSError):
                return False

        await eventually(new, within_s=EFFECT_WITHIN_S, what="a new run of the Redis server")

    async def heal(self, target: Target) -> None:
        """Nothing to take back."""

    async def await_recovery(self, target: Target) -> None:
        """As many replicas as declared are ready and listed."""
        await all_ready(target)


async def _run_id(target: Target) -> str:
    redis = target.redis()
    try:
        return str((await redis.info("server")).get("run_id", ""))
    finally:
        await redis.aclose()
