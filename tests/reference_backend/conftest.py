"""A Valkey of the tests' own, the backend's parts on it, and a whole stack with timings scaled down."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio
from backend.service import TIMING, WITHIN_S, Service, running_service
from redis.asyncio import Redis

from limpet.clock import eventually
from limpet.targets.base import Link, Resume
from limpet.targets.local import programs
from reference_backend.locks import Locks
from reference_backend.releases import Releases
from reference_backend.settings import Settings

LONE_DB = 1


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey_port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    folder = tmp_path_factory.mktemp("valkey")
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    process = await asyncio.create_subprocess_exec(
        programs.valkey(), *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.kill()
        await process.wait()


@pytest_asyncio.fixture(loop_scope="session")
async def redis(valkey_port: int) -> AsyncIterator[Redis]:
    """An empty database."""
    client = Redis(port=valkey_port)

    async def answers() -> bool:
        with contextlib.suppress(ConnectionError, OSError):
            return bool(await client.ping())
        return False

    await eventually(answers, within_s=WITHIN_S, what="Valkey answers")
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def settings(valkey_port: int, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{valkey_port}/0")
    for name, value in TIMING.items():
        monkeypatch.setenv(f"BACKEND_{name.upper()}", str(value))
    return Settings()


@pytest_asyncio.fixture(loop_scope="session")
async def new_locks(settings: Settings, valkey_port: int) -> AsyncIterator[Callable[[], Locks]]:
    """Makes the locks of one more process: each has connections of its own."""
    clients, tasks = [], []

    def make() -> Locks:
        client = Redis(port=valkey_port)
        releases = Releases(client)
        clients.append(client)
        tasks.append(asyncio.create_task(releases.run()))
        return Locks(client, releases, settings)

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for client in clients:
        await client.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Two replicas; for tests that disturb nothing."""
    async with running_service(tmp_path_factory.mktemp("stack")) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Two replicas of the module's own."""
    async with running_service(tmp_path_factory.mktemp("own")) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def own_service(module_service: Service) -> AsyncIterator[Service]:
    """Two replicas to be disturbed, both ready; what was cut or paused is healed afterwards."""
    await module_service.pods()
    yield module_service
    for pod in await module_service.target.pods():
        if pod.phase in ("ready", "not ready"):
            await module_service.target.act(Resume(pod.name))
            for dependency in ("redis", "postgres"):
                await module_service.target.act(Link(pod.name, dependency, "pass"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lone_url(valkey_port: int) -> AsyncIterator[str]:
    """A replica with a Redis database of its own and no PostgreSQL; when it is stopped nothing of it is left."""
    surroundings = programs.surroundings({"REDIS_URL": f"redis://127.0.0.1:{valkey_port}/{LONE_DB}", "PORT": "0"})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reference_backend", env=surroundings, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async for line in process.stdout:
        if b"Serving on " in line:
            break
    url = line.decode().rsplit(" ", 1)[1].strip()

    async def ready() -> bool:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{url}/ready")).is_success

    await eventually(ready, within_s=WITHIN_S, what=f"{url} is ready")
    yield url
    process.terminate()
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    async with Redis(port=valkey_port, db=LONE_DB) as client:
        assert [key async for key in client.scan_iter("*backend:*")] == []
        # With sessions left its name stays, so that whoever comes next finds them.
        assert await client.exists("instances") == await client.exists("sessions:active")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def any_url(service: Service) -> str:
    """One replica of the undisturbed service."""
    return (await service.urls())[0]
