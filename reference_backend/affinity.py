"""`ws:{id}`: which replica has an open WebSocket of a session.

One task tells Redis what is open here, in the order in which it happened, so that a late close never undoes a newer
open. The word of a replica lives as long as a heartbeat and is renewed with it: a dead replica's is gone by then, and
another that still has one open is named instead.
"""

import asyncio

from redis.asyncio import Redis

from reference_backend import keys, scripts
from reference_backend.redis_access import UNREACHABLE
from reference_backend.settings import Settings

RETRY_S = 0.1
CHUNK = 200


class Affinity:
    """What is open here. `run` and `renew` must be running."""

    def __init__(self, redis: Redis, instance: str, settings: Settings) -> None:
        self._redis = redis
        self._instance = instance
        self._ttl_ms = int(settings.heartbeat_ttl_s * 1000)
        self._renew_s = min(settings.heartbeat_interval_s, settings.takeover_scan_s)
        self._open: dict[str, int] = {}
        self._changed: dict[str, list[asyncio.Future[None]]] = {}
        self._telling: dict[str, list[asyncio.Future[None]]] = {}
        self._some = asyncio.Event()

    def opened(self, session_id: str) -> None:
        """A WebSocket was opened."""
        self._open[session_id] = self._open.get(session_id, 0) + 1
        self._change(session_id)

    async def told(self, session_id: str) -> None:
        """Wait until Redis knows what was said of this session so far."""
        waiting = self._changed.get(session_id, self._telling.get(session_id))
        if waiting is not None:
            told = asyncio.get_running_loop().create_future()
            waiting.append(told)
            await told

    def closed(self, session_id: str) -> None:
        """A WebSocket was closed."""
        self._open[session_id] -= 1
        if not self._open[session_id]:
            del self._open[session_id]
            self._change(session_id)

    def _change(self, session_id: str) -> None:
        self._changed.setdefault(session_id, [])
        self._some.set()

    async def run(self) -> None:
        """Tell Redis, for ever."""
        while True:
            if not self._changed:
                self._some.clear()
                await self._some.wait()
            while self._changed:
                self._telling, self._changed = self._changed, {}
                try:
                    while self._telling:
                        session_id = next(iter(self._telling))
                        await self._tell(session_id, new=True)
                        for future in self._telling.pop(session_id):
                            if not future.done():
                                future.set_result(None)
                except BaseException as error:
                    for session_id, waiting in self._telling.items():
                        self._changed.setdefault(session_id, []).extend(waiting)
                    self._telling = {}
                    if not isinstance(error, UNREACHABLE):
                        raise
                    await asyncio.sleep(RETRY_S)

    async def renew(self) -> None:
        """Renew the word of this replica, for ever, and take the place of replicas that died."""
        while True:
            await asyncio.sleep(self._renew_s)
            for session_id in list(self._open):
                if session_id in self._open and session_id not in self._changed:
                    await self._tell(session_id, new=False)

    async def leave(self) -> None:
        """Nothing is open here any more."""
        for session_id in list(self._open):
            await self._closed(session_id)

    async def _tell(self, session_id: str, *, new: bool) -> None:
        if session_id not in self._open:
            return await self._closed(session_id)
        names = [keys.websocket(session_id), keys.watchers(session_id)]
        await scripts.WATCHED.run(self._redis, names, [self._instance, self._ttl_ms, int(new)])
        return None

    async def _closed(self, session_id: str) -> None:
        names = [keys.websocket(session_id), keys.watchers(session_id)]
        await scripts.UNWATCHED.run(self._redis, names, [self._instance])
