"""What the pods stand on: data survive a restart, pods are told apart, and nothing is started that nobody needs."""

import asyncpg
import pytest
from redis.asyncio import Redis
from targets.bench import Bench, environment_of

from limpet.clock import eventually
from limpet.errors import UnsupportedError
from limpet.targets.base import Link, Restart
from limpet.targets.local import http
from limpet.targets.local.target import LocalTarget
from limpet.targets.ready import all_ready


@pytest.mark.parametrize("hard", [False, True])
async def test_restarted_parts_keep_their_data_and_ports(bench: Bench, *, hard: bool) -> None:
    target = bench.target(bench.contract(redis=True, postgres=True))
    async with target:
        addresses = target.addresses()
        async with target.redis() as redis:
            await redis.set("kept", "yes")
        await _sql(target.addresses()["postgres"], "create table kept as select 17 as n")
        for part in ("redis", "postgres", "ingress"):
            await target.act(Restart(part, hard=hard))
        async with target.redis() as redis:
            assert await redis.get("kept") == "yes"
        assert await _sql(target.addresses()["postgres"], "select n from kept") == 17
        assert target.addresses() == addresses
        await all_ready(target)
        assert await _through_ingress(target) == 200
    parts = [(line.data["name"], line.op) for line in bench.lines() if line.type == "part"]
    assert parts[:3] == [("redis", "stopping"), ("redis", "stopped"), ("redis", "answers")]
    assert len(parts) == 9


async def test_redis_tells_the_pods_apart_by_their_source_addresses(bench: Bench) -> None:
    target = bench.target(bench.contract(redis=True))
    async with target, target.redis() as redis:
        seen = {(one["name"], one["addr"].partition(":")[0]) for one in await redis.client_list()}
    told = {(line.data["name"], line.data["source"]) for line in bench.lines() if line.type == "pod"}
    assert seen == told | {("limpet", "127.0.0.1")}
    assert len({source for _, source in told}) == 2


async def test_a_pod_reaches_the_database_through_its_link_from_its_own_address(bench: Bench) -> None:
    target = bench.target(bench.contract(postgres=True), replicas=1)
    async with target:
        (pod,) = await target.pods()
        given = dict(variable.partition(b"=")[::2] for variable in environment_of(pod.pid))
        url = given[b"DATABASE_URL"].decode()
        assert url != target.addresses()["postgres"]
        assert await _sql(url, "select host(inet_client_addr())") == "127.64.0.1"


async def test_a_cut_link_takes_only_its_own_pod_from_redis(bench: Bench) -> None:
    target = bench.target(bench.contract(redis=True))
    async with target, target.redis() as redis:
        await target.act(Link("backend-1", "redis", "cut"))
        await _ready_are(target, ["backend-2"])
        assert await _names(redis) == ["backend-2"]
        await target.act(Link("backend-1", "redis", "pass"))
        await _ready_are(target, ["backend-1", "backend-2"])
        await target.act(Link("backend-2", "redis", "blackhole"))
        await _ready_are(target, ["backend-1"])
        await target.act(Link("backend-2", "redis", "pass"))
        await _ready_are(target, ["backend-1", "backend-2"])


async def test_a_contract_that_needs_no_redis_gets_none(bench: Bench) -> None:
    target = bench.target(bench.contract())
    async with target:
        assert "takes no Redis" in target.capabilities()["redis"]
        assert "takes no Redis" in target.capabilities()["link"]
        assert target.capabilities()["kill"] == ""
        assert set(target.addresses()) == {"ingress", "routes"}
        with pytest.raises(UnsupportedError, match="redis"):
            target.redis()
        with pytest.raises(UnsupportedError, match="link"):
            await target.act(Link("backend-1", "redis", "cut"))
        with pytest.raises(UnsupportedError, match="restart"):
            await target.act(Restart("postgres"))


async def test_two_stacks_run_side_by_side(bench: Bench) -> None:
    first, second = (bench.target(bench.contract(redis=True)) for _ in range(2))
    async with first, second:
        pods = [*await first.pods(), *await second.pods()]
        assert len({pod.address for pod in pods}) == 4
        assert [await _through_ingress(target) for target in (first, second)] == [200, 200]


async def _sql(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _through_ingress(target: LocalTarget) -> int:
    host, _, port = target.base_url.removeprefix("http://").partition(":")
    return (await http.get(host, int(port), "/api/sessions", within_s=5)).status


async def _names(redis: Redis) -> list[str]:
    return sorted({one["name"] for one in await redis.client_list()} - {"limpet"})


async def _ready_are(target: LocalTarget, names: list[str]) -> None:
    async def same() -> bool:
        return [pod.name for pod in await target.pods() if pod.phase == "ready"] == names

    await eventually(same, within_s=10, what=f"ready: {names}")
