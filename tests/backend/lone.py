"""A Redis of a test's own, which it may stop, kill and pause, and replicas that know no other."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from backend.service import TIMING, WITHIN_S
from redis.asyncio import Redis
from redis.exceptions import RedisError

from limpet.clock import eventually
from limpet.targets.local import programs


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@dataclass
class Server:
    """A Valkey server, or a Sentinel; `options` are its command line's."""

    folder: Path
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    def client(self) -> Redis:
        return Redis(port=self.port, decode_responses=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it, with what it had; returns when it answers."""
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        self._process = await asyncio.create_subprocess_exec(
            programs.valkey(),
            *self.arguments(options),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

        async def answers() -> bool:
            async with self.client() as client:
                with contextlib.suppress(RedisError, OSError):
                    return bool(await client.ping())
            return False

        await eventually(answers, within_s=WITHIN_S, what="Valkey answers")

    def arguments(self, options: tuple[str, ...]) -> tuple[str, ...]:
        return (*options, *self.options)

    async def stop(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def pause(self) -> None:
        """Stand still, with all connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """It runs, until the end of the block at the latest."""
    server.folder.mkdir(parents=True, exist_ok=True)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class Lone:
    """One replica without an ingress, and all that it logged so far."""

    url: str
    instance: str
    _lines: list[str]
    _process: asyncio.subprocess.Process

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    @property
    def log(self) -> str:
        return "".join(self._lines)


@contextlib.asynccontextmanager
async def replica(redis_url: str, **settings: Any) -> AsyncIterator[Lone]:
    """A replica that is ready; killed at the end, since nobody looks at what it leaves."""
    own = {f"BACKEND_{name.upper()}": str(value) for name, value in (TIMING | settings).items()}
    environment = programs.surroundings({"REDIS_URL": redis_url, "PORT": "0", **own})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reference_backend", env=environment, stdout=asyncio.subprocess.PIPE
    )
    lines: list[str] = []

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            lines.append(line.decode())

    reading = asyncio.create_task(read())

    def said(what: str) -> str:
        return next((line.rsplit(" ", 1)[1].strip() for line in lines if what in line), "")

    async def ready() -> bool:
        assert process.returncode is None, lines
        url = said("Serving on ")
        return bool(url) and await is_ready(url)

    try:
        await eventually(ready, within_s=WITHIN_S, what="a replica is ready")
        yield Lone(said("Serving on "), said("instance ID: "), lines, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        with contextlib.suppress(httpx.HTTPError):
            return (await http.get(f"{url}/ready")).is_success
    return False
