"""A true Valkey, empty and as the contract wants it before each test; a fake backend; a true stack."""

from collections.abc import AsyncIterator

import pytest
from doctor.fake_backend import Fake
from redis.asyncio import Redis

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Contract
from limpet.doctor import walk
from limpet.owner import owner_pid
from limpet.status.place import Place
from limpet.targets.local.ports import Ports
from limpet.targets.local.processes import Processes
from limpet.targets.local.valkey import Valkey

SOUND = {"appendonly": "yes", "maxmemory-policy": "noeviction", "maxmemory": "0", "save": "", "requirepass": ""}


@pytest.fixture(scope="session")
async def redis_port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The port of a Valkey."""
    folder = tmp_path_factory.mktemp("valkey")
    processes, ports = Processes(folder / "stack", folder / "guardian.log"), Ports()
    await processes.open(owner_pid())
    valkey = Valkey(processes, folder / "valkey.log", ports.take())
    await valkey.prepare()
    await valkey.start()
    yield valkey.port
    valkey.release()
    await processes.close()
    ports.close()


@pytest.fixture
async def redis(redis_port: int) -> AsyncIterator[Redis]:
    """A client of an empty Valkey that has the settings of the contract."""
    async with Redis(port=redis_port, decode_responses=True) as client:
        await client.flushall()
        for name, value in SOUND.items():
            await client.config_set(name, value)
        yield client
        for name, value in SOUND.items():
            await client.config_set(name, value)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look comes at once; nothing changes meanwhile but what a test changes."""
    monkeypatch.setattr(walk, "SECOND_LOOK_S", 0.0)


@pytest.fixture(scope="session")
def gadget() -> Contract:
    """The reference backend's contract, with a quicker takeover."""
    return contracts.load(shipped.contract("gadget")).with_timing(takeover_scan_s=0.01)


@pytest.fixture
def place(redis: Redis, redis_port: int, gadget: Contract) -> Place:
    """The Valkey alone, which `redis` has emptied."""
    assert redis is not None
    return Place("a test", gadget, redis_url=f"redis://127.0.0.1:{redis_port}/0")


@pytest.fixture
def fake() -> Fake:
    """A backend that is not running yet."""
    return Fake()
