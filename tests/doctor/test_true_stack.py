"""The doctor and a whole stack: Traefik, Valkey and two replicas of the reference backend; nothing of it is faked."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from doctor.reports import only

from limpet.clock import eventually
from limpet.contract import Contract
from limpet.doctor.walk import walk
from limpet.history import History
from limpet.status.figures import figures
from limpet.status.look import look
from limpet.status.place import Place
from limpet.targets.base import Link, Pause
from limpet.targets.local.target import LocalTarget


@pytest.fixture(scope="module")
async def target(gadget: Contract, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalTarget]:
    folder = tmp_path_factory.mktemp("stack")
    history = History(folder / "history.jsonl", "replicas")
    quick = gadget.with_timing(heartbeat_interval_s=0.5, heartbeat_ttl_s=2, self_fence_s=1.5)
    async with LocalTarget(quick, history, folder / "logs") as target:
        yield target
    history.close()


async def where(target: LocalTarget) -> Place:
    addresses = target.addresses()
    return Place(
        "the stack",
        target.contract,
        target.base_url,
        addresses["redis"],
        addresses["routes"],
        tuple(await target.pods()),
    )


@contextlib.asynccontextmanager
async def proxy(choose: Callable[[], str], *, drops_cookie: bool = False) -> AsyncIterator[str]:
    """The address of a proxy that takes one request a connection, and sends it to where `choose` says."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
            dropped = (b"connection:", b"cookie:") if drops_cookie else (b"connection:",)
            kept = [line for line in head if not line.lower().startswith(dropped)]
            host, _, port = choose().partition(":")
            upstream, onward = await asyncio.open_connection(host, int(port))
            onward.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]))
            writer.write(await upstream.read())
            onward.close()
        writer.close()

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_whole_stack_is_sound(target: LocalTarget) -> None:
    report = await walk(await where(target), try_session=True)
    assert report.causes == ()
    assert report.unseen == {}


async def test_status_shows_the_stack_as_it_is(target: LocalTarget) -> None:
    shown = figures(await look(await where(target)))
    pods = {pod.name: pod for pod in await target.pods()}
    assert [row["name"] for row in shown["replicas"]] == list(pods)
    assert all(row["listed"] and row["ready"] == 200 for row in shown["replicas"])
    assert {row["instance"] for row in shown["instances"]} == {pod.instance for pod in pods.values()}
    assert all(0 <= row["heartbeat_age_s"] < 5 for row in shown["instances"])
    (service,) = shown["ingress"]["services"]
    assert service["cookie"] == "backend-session"
    assert sorted(service["servers"]) == sorted(pod.address for pod in pods.values())


async def test_cookie_of_another_name_is_found_in_the_routes_of_the_ingress(target: LocalTarget) -> None:
    place = await where(target)
    assert target.contract.ingress is not None
    other = replace(target.contract, ingress=replace(target.contract.ingress, cookie="gadget-session"))
    cause = only(await walk(replace(place, contract=other)), "cookie missing")
    assert any("sticky by backend-session" in line for line in cause.evidence)


async def test_cookie_that_a_proxy_before_the_ingress_drops_is_named(target: LocalTarget) -> None:
    place = await where(target)
    async with proxy(lambda: place.base_url.removeprefix("http://"), drops_cookie=True) as address:
        cause = only(await walk(replace(place, base_url=f"http://{address}")), "cookie lost")
    assert "does not reach the ingress" in cause.what


async def test_balancer_behind_the_ingress_is_named(target: LocalTarget) -> None:
    place = await where(target)
    addresses = [pod.address for pod in await target.pods()]
    turn = itertools.cycle(addresses)
    parts = target._running()
    async with proxy(lambda: next(turn)) as address:
        parts.ingress.route([address])
        await eventually(parts.ingress.in_force, within_s=10, what="route to the proxy")
        try:
            cause = only(await walk(place), "cookie ignored")
        finally:
            parts.ingress.route(addresses)
            await eventually(parts.ingress.in_force, within_s=10, what="routes to the pods")
    assert all(pod.instance in cause.evidence[1] for pod in await target.pods())


async def test_replica_whose_link_to_redis_is_cut_is_named(target: LocalTarget) -> None:
    victim, other = await target.pods()
    await target.act(Link(victim.name, "redis", "cut"))
    try:

        async def unready() -> bool:
            return next(pod.phase for pod in await target.pods() if pod.name == victim.name) == "not ready"

        await eventually(unready, within_s=20, what=f"{victim.name} not ready")
        cause = only(await walk(await where(target)), "Redis unreachable")
        assert cause.about == {victim.name}
    finally:
        await target.act(Link(victim.name, "redis", "pass"))

    async def ready() -> bool:
        return all(pod.phase == "ready" for pod in await target.pods())

    await eventually(ready, within_s=20, what=f"{victim.name} and {other.name} ready")


async def test_sessions_of_a_frozen_replica_have_a_dead_owner(gadget: Contract, tmp_path: Path) -> None:
    """The only replica is frozen: its heartbeat and its set go, its session stays listed, and nobody takes it over."""
    history = History(tmp_path / "history.jsonl", "replicas")
    quick = gadget.with_timing(heartbeat_interval_s=0.5, heartbeat_ttl_s=2, self_fence_s=1.5)
    async with LocalTarget(quick, history, tmp_path / "logs", replicas=1) as target:
        (pod,) = await target.pods()
        async with httpx.AsyncClient(base_url=target.base_url, trust_env=False) as http:
            call = quick.http.create
            (await http.request(call.method, call.path, json=dict(quick.http.body))).raise_for_status()
        await target.act(Pause(pod.name))

        async def gone() -> bool:
            async with target.redis() as redis:
                return not await redis.exists(f"backend:{pod.instance}:heartbeat")

        await eventually(gone, within_s=20, what="heartbeat gone")
        report = await walk(await where(target))
    history.close()
    causes = {cause.name: cause for cause in report.causes}
    assert set(causes) == {"dead owner", "ingress down"}
    assert any(pod.instance in line for line in causes["dead owner"].evidence)
