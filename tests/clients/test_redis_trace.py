"""The Redis trace has every command of every pod once, in the server's order, with its pod and its outcome."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import pytest
from links.speaking import PODS, Speaking
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from limpet import history as histories
from limpet.clients.monitor import Monitored, parse
from limpet.clients.redis_join import join
from limpet.clients.redis_trace import RedisTrace, text
from limpet.history import History, Line, Section
from limpet.links.log import Exchange
from limpet.links.switches import CutAfterCommand
from limpet.targets.base import Action, Target, Trace

ADD = "redis.call('GET', KEYS[1]) return redis.call('INCRBY', KEYS[1], ARGV[1])"
COMMANDS = 10_000
CONNECTIONS = 6  # of each pod


class LinksOnly:
    """As much of a target as a trace needs."""

    def __init__(self, there: Speaking, *, traced: bool = True) -> None:
        self._there = there
        self._traced = traced

    def capabilities(self) -> Mapping[str, str]:
        return {"trace": "" if self._traced else "this target has no links"}

    def redis(self) -> Redis:
        return self._there.redis(name="limpet")

    async def act(self, action: Action) -> None:
        assert isinstance(action, Trace)
        await self._there.links.trace(action.log)


class Traced:
    """A trace of what is done in the block, and its history afterwards."""

    def __init__(self, there: Speaking, *names: str, links: bool = True) -> None:
        self._history = History(there.folder / "history.jsonl", "locking")
        self._trace = RedisTrace(cast("Target", LinksOnly(there, traced=links)), self._history, names=names or ("*",))

    async def __aenter__(self) -> Self:
        await self._trace.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._trace.__aexit__(*_)
        self._history.close()

    @property
    def section(self) -> Section:
        return histories.read(self._history.path)

    def lines(self, *ops: str) -> list[Line]:
        return [line for _, line in self.section.of("redis") if not ops or line.op in ops]

    @property
    def counts(self) -> Mapping[str, Any]:
        return next(line.data for _, line in self.section.of("trace"))


async def test_ten_thousand_commands_of_several_pods_are_joined_completely(redis_links: Speaking) -> None:
    sent: dict[str, list[tuple[str, Any]]] = {}
    async with Traced(redis_links) as traced:
        clients = [(pod, redis_links.redis(pod, connections=1)) for pod in PODS for _ in range(CONNECTIONS)]
        jobs = [_work(pod, client, number, sent) for number, (pod, client) in enumerate(clients)]
        await asyncio.gather(*jobs)
        for _, client in clients:
            await client.aclose()
    counts = traced.counts
    assert counts["lost"] == ""
    assert counts["by_links"] == counts["joined"] >= COMMANDS
    assert (counts["unknown"], counts["strangers"], counts["lost_connections"]) == (0, 0, [])
    replies = {
        str(line.data["args"][0]): (line.pod, line.data["reply"])
        for line in traced.lines("INCRBY", "LPUSH", "EVAL")
        if line.data["outcome"] == "replied"
    }
    for line in traced.lines("EVAL"):
        replies[str(line.data["args"][2])] = (line.pod, line.data["reply"])
    for key, (pod, reply) in ((key, value) for values in sent.values() for key, value in values):
        assert replies[key] == (pod, reply), key


async def _work(pod: str, client: Redis, number: int, sent: dict[str, list[tuple[str, Any]]]) -> None:
    """Commands whose replies differ, each on a key of its own; what was answered goes into `sent`."""
    roll = random.Random(number)
    seen = sent.setdefault(f"{pod}/{number}", [])
    for step in range(COMMANDS // (len(PODS) * CONNECTIONS) // 4):
        key = f"{number}:{step}"
        match step % 4:
            case 0:
                seen.append((key, (pod, await client.incrby(key, roll.randrange(1000)))))
            case 1:
                pipe = client.pipeline(transaction=True)
                pipe.incrby(key, roll.randrange(1000))
                pipe.get("nobody's")
                pipe.lpush(f"{key}:list", *range(roll.randrange(1, 9)))
                added, _, pushed = await pipe.execute()
                seen += [(key, (pod, added)), (f"{key}:list", (pod, pushed))]
            case 2:
                seen.append((key, (pod, await client.eval(ADD, 1, key, str(roll.randrange(1000))))))
            case _:
                pipe = client.pipeline(transaction=False)
                for part in range(8):
                    pipe.incrby(f"{key}:{part}", roll.randrange(1000))
                pipe.lpush("a text", "x")
                await client.set("a text", "no list")
                *values, error = await pipe.execute(raise_on_error=False)
                assert isinstance(error, ResponseError)
                seen += [(f"{key}:{part}", (pod, value)) for part, value in enumerate(values)]


async def test_order_is_the_servers_and_scripts_and_transactions_are_units(redis_links: Speaking) -> None:
    async with (
        Traced(redis_links) as traced,
        redis_links.redis("backend-1") as one,
        redis_links.redis("backend-2") as two,
    ):
        await one.set("k", "1")
        await two.eval(ADD, 1, "k", "5")
        pipe = one.pipeline(transaction=True)
        pipe.get("k")
        pipe.eval(ADD, 1, "k", "1")
        await pipe.execute()
    lines = [line for line in traced.lines() if line.op not in ("HELLO", "CLIENT")]
    assert [(line.op, line.pod) for line in lines] == [
        ("SET", "backend-1"),
        *[("EVAL", "backend-2"), ("GET", "backend-2"), ("INCRBY", "backend-2")],
        *[("MULTI", "backend-1"), ("GET", "backend-1")],
        *[("EVAL", "backend-1"), ("GET", "backend-1"), ("INCRBY", "backend-1"), ("EXEC", "backend-1")],
    ]
    orders = [line.data["order"] for line in lines]
    assert orders == sorted(orders)
    assert [line.data["unit"] for line in lines] == [orders[0], *[orders[1]] * 3, *[orders[4]] * 6]
    assert [line.data.get("script") for line in lines] == [
        None,
        None,
        *[orders[1]] * 2,
        None,
        None,
        None,
        *[orders[6]] * 2,
        None,
    ]
    assert lines[5].data["reply"] == "6"
    assert lines[6].data["reply"] == 7
    assert [line.t for line in lines] == sorted(line.t for line in lines)


async def test_only_units_that_name_what_is_wanted_are_written(redis_links: Speaking) -> None:
    async with Traced(redis_links, "lock:*") as traced, redis_links.redis("backend-1") as pod:
        await pod.set("other", "1")
        await pod.set("lock:a", "1")
        await pod.eval("redis.call('GET', 'lock:a') return redis.call('GET', 'other')", 0)
    assert [line.op for line in traced.lines()] == ["SET", "EVAL", "GET", "GET"]


async def test_a_reply_that_the_link_kept_is_told_as_undelivered(redis_links: Speaking) -> None:
    async with Traced(redis_links) as traced, redis_links.redis("backend-1") as pod:
        await redis_links.links.set("backend-1", "redis", CutAfterCommand(("k",)))
        with pytest.raises(RedisConnectionError):
            await pod.set("k", "1", nx=True)
        await pod.set("k", "2", nx=True)
    assert [(line.data["outcome"], line.data["reply"]) for line in traced.lines("SET")] == [
        ("undelivered", "OK"),
        ("replied", None),
    ]


async def test_what_the_server_refused_is_not_taken_for_what_it_did(redis_links: Speaking) -> None:
    async with Traced(redis_links) as traced, redis_links.redis("backend-1", connections=1) as pod:
        for _ in range(2):
            with pytest.raises(ResponseError):
                await pod.execute_command("GET", "k", "too many")  # type: ignore[no-untyped-call]
        pipe = pod.pipeline(transaction=True)
        pipe.set("k", "1")
        pipe.execute_command("NOSUCH")
        with pytest.raises(ResponseError):
            await pipe.execute()
        await pod.set("k", "1")
    assert [line.data["reply"] for line in traced.lines("SET")] == ["OK"]
    assert not traced.lines("GET")
    assert (traced.counts["lost"], traced.counts["unknown"]) == ("", 0)


async def test_without_links_the_outcome_is_unknown(redis_links: Speaking) -> None:
    async with Traced(redis_links, links=False) as traced, redis_links.redis("backend-1") as pod:
        await pod.set("k", "1")
    assert [(line.pod, line.data["outcome"]) for line in traced.lines("SET")] == [("", "unknown")]
    assert traced.counts["links"] is False


async def test_the_harness_itself_is_left_out(redis_links: Speaking) -> None:
    async with Traced(redis_links) as traced, redis_links.redis(name="limpet") as own, redis_links.redis() as stranger:
        await own.set("own", "1")
        await own.eval("return redis.call('GET', 'own')", 0)
        await stranger.set("k", "1")
    assert [line.data["args"][0] for line in traced.lines("SET", "GET")] == ["k"]
    assert traced.counts["own"] > 3


async def test_a_server_that_goes_away_is_told(redis_links: Speaking) -> None:
    async with Traced(redis_links) as traced, redis_links.redis("backend-1") as pod:
        await pod.set("k", "1")
        async with redis_links.redis() as past:
            await past.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")  # type: ignore[no-untyped-call]
    assert traced.counts["lost"].startswith("the server ended MONITOR")


def test_every_byte_of_an_argument_is_read() -> None:
    line = b'+1700000000.000001 [0 [::1]:5000] "SET" "k" "\\x00\\xff\\"\\\\\\n a\\r"\r'
    assert parse([line, b"+OK\r"]) == [
        Monitored(0, 1_700_000_000_000_001, "[::1]:5000", [b"SET", b"k", b'\x00\xff"\\\n a\r']),
    ]


def test_long_arguments_are_shortened_and_still_differ() -> None:
    one, other = (b'{"labels": "' + b"x" * 500 + end for end in (b"1", b"2"))
    assert len(text(one)) < 130
    assert text(one) != text(other)
    assert text(b"short") == "short"


def seen(order: int, *words: str) -> Monitored:
    return Monitored(order, order, "127.64.0.1:5000", [word.encode() for word in words])


def passed(place: int, *words: str, reply: Any = "OK", connection: int = 1) -> Exchange:
    return Exchange(
        "backend-1", "127.64.0.1:5000", connection, place, place, place, [w.encode() for w in words], reply, "replied"
    )


def outcomes(lines: Sequence[Monitored], records: Sequence[Exchange]) -> list[Any]:
    joined, _ = join(lines, records, from_ns=0, until_ns=100)
    return [one.exchange and one.exchange.reply for one in joined]


def test_equal_commands_are_joined_in_their_order() -> None:
    lines = [seen(n, "SET", "k", "v", "NX") for n in range(3)]
    assert outcomes(lines, [passed(n + 1, "SET", "k", "v", "NX", reply=n) for n in range(3)]) == [0, 1, 2]


def test_a_line_that_no_link_saw_does_not_shift_the_others() -> None:
    lines = [seen(0, "GET", "a"), seen(1, "GET", "unseen"), seen(2, "GET", "b")]
    assert outcomes(lines, [passed(1, "GET", "a", reply="1"), passed(2, "GET", "b", reply="2")]) == ["1", None, "2"]


def at(at_s: float, *words: str) -> Monitored:
    return Monitored(0, int(at_s * 1e6), "127.64.0.1:5000", [word.encode() for word in words])


def took(place: int, from_s: float, to_s: float, *words: str) -> Exchange:
    encoded = [word.encode() for word in words]
    sent_ns, replied_ns = int(from_s * 1e9), int(to_s * 1e9)
    return Exchange("backend-1", "127.64.0.1:5000", 1, place, sent_ns, replied_ns, encoded, place, "replied")


def test_a_line_whose_exchange_was_over_before_the_trace_is_not_taken_for_an_equal_one_later() -> None:
    lines = [at(0.9, "GET", "lease"), at(1.0, "GET", "a"), at(1.5, "GET", "b"), at(3.0, "GET", "lease")]
    records = [
        took(place, one.at_us / 1e6, one.at_us / 1e6, "GET", one.words[1].decode()) for place, one in enumerate(lines)
    ]
    joined, counts = join(lines, records, from_ns=950_000_000, until_ns=4_000_000_000, ahead_us=0)
    assert [one.exchange and one.exchange.reply for one in joined] == [None, 1, 2, 3]
    assert (counts.links, counts.joined) == (3, 3)


def test_a_read_that_blocked_since_before_the_trace_is_not_taken_for_the_next_equal_one() -> None:
    read = ("XREAD", "BLOCK", "10000", "STREAMS", "s", "0")
    records = [took(1, 1, 11, *read), took(2, 11.001, 21, *read), took(3, 21.001, 31, *read)]
    joined, counts = join(
        [at(11.002, *read), at(21.0005, *read)], records, from_ns=5_000_000_000, until_ns=40_000_000_000, ahead_us=0
    )
    assert [one.exchange and one.exchange.reply for one in joined] == [2, 3]
    assert (counts.links, counts.joined) == (2, 2)


def test_a_command_that_a_slow_server_carried_out_late_is_joined() -> None:
    records = [took(1, 1.0, 3.0, "GET", "a"), took(2, 3.1, 3.2, "GET", "b")]
    joined, _ = join([at(2.9, "GET", "a"), at(3.15, "GET", "b")], records, from_ns=0, until_ns=40 * 10**9, ahead_us=0)
    assert [one.exchange and one.exchange.reply for one in joined] == [1, 2]


def test_one_of_several_equal_commands_that_was_carried_out_late_is_not_taken_for_the_next() -> None:
    records = [took(10, 1, 1.4, "PING"), took(11, 1.41, 1.42, "GET", "x"), took(12, 1.5, 1.51, "PING")]
    lines = [at(1.35, "PING"), at(1.415, "GET", "x"), at(1.505, "PING")]
    joined, counts = join(lines, records, from_ns=0, until_ns=5_000_000_000, ahead_us=0)
    assert [one.exchange and one.exchange.reply for one in joined] == [10, 11, 12]
    assert counts.joined == counts.links == 3


def test_equal_commands_close_together_are_joined_in_turn_though_the_clocks_were_compared_badly() -> None:
    behind_s = 0.002
    records = [took(n, 1 + n / 1000, 1.0001 + n / 1000, "PING") for n in range(3)]
    lines = [at(1.00005 + behind_s + n / 1000, "PING") for n in range(3)]
    times = {"from_ns": 0, "until_ns": 5_000_000_000, "ahead_us": 0}
    for uncertain_ns, found in ((2_000_000, 3), (0, 1)):
        _, counts = join(lines, records, uncertain_ns=uncertain_ns, **times)
        assert counts.joined == found


def test_an_address_that_comes_again_goes_on_with_the_next_connection() -> None:
    lines = [seen(0, "GET", "a"), seen(1, "GET", "a")]
    records = [passed(1, "GET", "a", reply="2", connection=2), passed(1, "GET", "a", reply="1", connection=1)]
    assert outcomes(lines, records) == ["1", "2"]


def test_a_command_that_the_links_saw_and_monitor_did_not_is_counted() -> None:
    _, counts = join([seen(0, "GET", "a")], [passed(1, "GET", "a"), passed(2, "GET", "b")], from_ns=0, until_ns=100)
    assert (counts.links, counts.joined) == (2, 1)
