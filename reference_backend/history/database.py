"""The connection to PostgreSQL: made in the background, and never waited for by a session or a stream."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from reference_backend.errors import ApiError, unavailable
from reference_backend.history import schema
from reference_backend.settings import Settings

log = logging.getLogger(__name__)

CONNECT_S = 2.0
RETRY_S = (0.03, 1.0)
MARGIN_S = 2.0


class Database:
    """A pool of connections, or the reason why there is none."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url
        self._connections = settings.database_connections
        self._search_s = settings.search_wait_s
        self._pool: Any = None
        self._failed: Any = None
        self.reason = "connecting" if self._url else "no database is configured (DATABASE_URL)"

    @property
    def configured(self) -> bool:
        """Whether there is to be a history at all."""
        return self._url is not None

    @property
    def ready(self) -> bool:
        """Whether it answered when it was asked last."""
        return self._pool is not None and not self.reason

    async def run(self) -> None:
        """Connect and create the tables; try until it succeeds."""
        if not self.configured:
            return
        retry_s = RETRY_S[0]
        while self._pool is None:
            try:
                await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, the history waits and everything else goes on
                reason = f"the database does not answer: {error or type(error).__name__}"
                if reason != self.reason:
                    log.warning("History: %s", reason)
                self.reason = reason
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 1.5, RETRY_S[1])

    async def _connect(self) -> None:
        import asyncpg  # noqa: PLC0415 - costs a start 50 ms and is not needed to serve

        pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections,
            timeout=CONNECT_S,
            command_timeout=self._search_s + MARGIN_S,
            server_settings={"application_name": "reference_backend"},
        )
        try:
            async with pool.acquire() as connection:
                await schema.create(connection)
        except BaseException:
            pool.terminate()
            raise
        self._failed = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError)
        self._canceled = asyncpg.QueryCanceledError
        self._pool, self.reason = pool, ""

    @asynccontextmanager
    async def connection(self, *, probe: bool = False) -> AsyncIterator[Any]:
        """A connection for the length of the block; at once an error if the last one failed, but for the `probe`.

        Raises:
            ApiError: 503, there is none, or it broke; 400, a search took too long.
        """
        if self._pool is None or (self.reason and not probe):
            raise unavailable("history_unavailable", self.reason)
        try:
            async with self._pool.acquire(timeout=CONNECT_S) as connection:
                yield connection
                self.reason = ""
        except self._canceled:
            message = f"this search takes longer than {self._search_s:g} s; narrow it, by time for instance"
            raise ApiError(400, "too_broad", message, field="q") from None
        except self._failed as error:
            self.reason = f"the database does not answer: {error or type(error).__name__}"
            raise unavailable("history_unavailable", self.reason) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CONNECT_S):
                    await self._pool.close()
                    return
            self._pool.terminate()
