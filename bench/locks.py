"""Acquire and release a session's lock: the reference backend's, with its fence, against redis-py's asyncio Lock.

Alone, one caller. Contended, eight callers that share nothing, as eight replicas would be: in rounds, in which each of
them takes it once, and without a pause, where one that has just released it may take it again before the others have
looked. A waiter of redis-py looks every 100 ms; one of the reference backend is woken by the release, in turn.

make bench ARGS=locks
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop
from redis.asyncio import Redis

from bench.base import heading, median, ratio, table
from limpet import contract as contracts
from limpet import shipped
from limpet.clock import NS_PER_S, now_ns
from limpet.history import History
from limpet.targets.local.target import LocalTarget
from reference_backend.locks import Locks
from reference_backend.redis_access import connect
from reference_backend.releases import Releases
from reference_backend.settings import Settings

CALLERS = 8
TURNS = 7
TURN_S = 2.0
HELD_S = 0.001  # contended, somebody works while he holds it
WAIT_S = 30.0
ALONE, ROUNDS, GREEDY = "alone", f"{CALLERS} at once, each once", f"{CALLERS} without a pause"
OURS, THEIRS = "reference backend, with fence", "redis-py's Lock"

Hold = Callable[[float], Awaitable[None]]
"""Acquires, keeps it so many seconds, releases."""


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Hold]:
    """One replica's locks, with connections of their own."""
    settings = Settings().model_copy(update={"redis_url": url, "lock_wait_s": WAIT_S})
    redis, listening = connect(settings, connections=4), connect(settings, connections=1, answer_s=WAIT_S)
    releases = Releases(listening)
    locks = Locks(redis, releases, settings)
    reading = asyncio.create_task(releases.run())

    async def hold(held_s: float) -> None:
        async with locks.session("bench"):
            if held_s:
                await asyncio.sleep(held_s)

    yield hold
    reading.cancel()
    await asyncio.wait([reading])
    await releases.close()
    for client in (redis, listening):
        await client.aclose()


@asynccontextmanager
async def theirs(url: str) -> AsyncIterator[Hold]:
    """A client with redis-py's lock as its documentation shows it."""
    redis = Redis.from_url(url)

    async def hold(held_s: float) -> None:
        async with redis.lock("lock:theirs", timeout=10.0, blocking_timeout=WAIT_S):
            if held_s:
                await asyncio.sleep(held_s)

    yield hold
    await redis.aclose()


async def rate(holds: list[Hold], held_s: float) -> float:
    """Acquisitions a second of these callers together."""
    until_ns = now_ns() + int(TURN_S * NS_PER_S)
    count = 0

    async def caller(hold: Hold) -> None:
        nonlocal count
        while now_ns() < until_ns:
            await hold(held_s)
            count += 1

    began_ns = now_ns()
    await asyncio.gather(*map(caller, holds))
    return count * NS_PER_S / (now_ns() - began_ns)


async def round_rate(holds: list[Hold]) -> float:
    """Acquisitions a second where all callers come at once, each for one, again and again."""
    until_ns, began_ns, count = now_ns() + int(TURN_S * NS_PER_S), now_ns(), 0
    while now_ns() < until_ns:
        await asyncio.gather(*(hold(HELD_S) for hold in holds))
        count += len(holds)
    return count * NS_PER_S / (now_ns() - began_ns)


async def run() -> dict[tuple[str, str], list[float]]:
    """All turns: (whose lock, how) -> acquisitions a second."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    contract = contracts.load(shipped.contract("gadget"))
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history-locks.jsonl", "locks")
        async with (
            LocalTarget(contract, history, Path(folder) / "logs", replicas=1) as target,
            AsyncExitStack() as stack,
        ):
            url = target.addresses()["redis"]
            callers = {
                name: [await stack.enter_async_context(made(url)) for _ in range(CALLERS)]
                for name, made in ((OURS, ours), (THEIRS, theirs))
            }
            for _ in range(TURNS):
                for name, holds in callers.items():
                    found[name, ALONE].append(await rate(holds[:1], 0.0))
                    found[name, ROUNDS].append(await round_rate(holds))
                    found[name, GREEDY].append(await rate(holds, HELD_S))
        history.close()
    return found


def main() -> None:
    """Print the rates and how they compare."""
    heading(
        f"Locks: acquire and release, {TURNS} turns of {TURN_S:g} s; contended by {CALLERS} callers that hold it "
        f"{HELD_S * 1000:g} ms each"
    )
    found = uvloop.run(run())
    rows = []
    for how in (ALONE, ROUNDS, GREEDY):
        for name in (OURS, THEIRS):
            rates = found[name, how]
            rows.append((f"{how}: {name}", median(rates, 0), ratio(rates, found[THEIRS, how])))
    table(("", "acquisitions/s", "of redis-py"), rows)


if __name__ == "__main__":
    main()
