"""The Redis trace: what the replicas did in Redis, in what order, and with what outcome, as lines of the history.

    async with RedisTrace(target, history, names=("lock:session:*",)) as trace:
        ...

MONITOR has the order, the links have the pods and the replies (redis_join.py). While it runs only raw lines are kept;
at the end they are joined and written: for each command of a unit (a command, a script with all that it calls, a
transaction) that names one of `names` a line

    {"type": "redis", "op": "SET", "pod": name of the pod, "data": {"args", "order", "unit", "at_us", "from",
     "outcome", "reply", "sent_ns", "replied_ns", "script", "multi"}}

`args` are texts, long ones shortened to their beginning, their length and a digest. `outcome` is `replied`,
`undelivered` (the link kept the reply from the pod), `none` (no reply was seen), `called` (by the script of order
`script`; it has no reply of its own), or `unknown` (no link saw it). A line `trace` says how complete this is. The
harness's own commands are left out.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from limpet.clients.monitor import LUA, Monitor, parse
from limpet.clients.redis_join import Counts, Joined, join
from limpet.clock import NS_PER_S, eventually, now_ns
from limpet.errors import LimpetError
from limpet.history import History, Line
from limpet.links import log
from limpet.links.switches import Names
from limpet.targets.base import Target, Trace

OWN_NAME = b"limpet"
MARK_WITHIN_S = 30.0
CLOCK_TRIES = 5
TEXT_MAX = 120  # of an argument in the history
HEAD = 80  # of a longer one


class RedisTrace:
    """Traces from `__aenter__` to `__aexit__`.

    Attributes:
        monitor: what was seen so far, raw.
    """

    monitor: Monitor

    def __init__(self, target: Target, history: History, *, names: Sequence[str]) -> None:
        """`names`: patterns of keys, as of a shell."""
        self._target = target
        self._history = history
        self._names = Names(names)
        self._redis: Redis | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="limpet-trace-")
        self._log: Path | None = None
        self._own: set[str] = set()
        self._from_ns = 0
        self._offset_us = 0  # the server's clock less the harness's
        self._uncertain_ns = 0  # by how much that may be wrong

    async def __aenter__(self) -> Self:
        self._redis = self._target.redis()
        if not self._target.capabilities().get("trace", "this target cannot"):
            self._log = Path(self._folder.name) / "links.log"
            await self._target.act(Trace(self._log))
        try:
            self.monitor = await Monitor.watch(self._redis)
            self._from_ns = now_ns()
            self._offset_us, self._uncertain_ns = await self._compare_clocks()
            clients: Any = await self._redis.client_list()
        except RedisError as error:
            raise LimpetError(f"Redis trace: {error}") from error
        self._own = {str(one["addr"]) for one in clients if one.get("name") == OWN_NAME.decode()}
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._redis is not None  # it was entered
        until_ns = now_ns()
        await self.catch_up()
        self.monitor.stop()
        if self._log:
            await self._target.act(Trace(None))
        await self._redis.aclose()
        await asyncio.to_thread(self._write, until_ns)
        self._folder.cleanup()

    async def catch_up(self) -> None:
        """Wait until MONITOR shows what is asked now: then it has shown everything before."""
        assert self._redis is not None  # it was entered
        mark = secrets.token_hex(8)

        async def shown() -> bool:
            return bool(self.monitor.lost) or any(mark.encode() in line for line in self.monitor.lines[-1000:])

        with suppress(RedisError):  # then MONITOR has been lost too, and says so
            await self._redis.echo(mark)
            await eventually(shown, within_s=MARK_WITHIN_S, what="the end of the Redis trace")

    async def _compare_clocks(self) -> tuple[int, int]:
        """How far the server's clock is ahead, and by how much that may be wrong: in the exchange that was quickest."""
        assert self._redis is not None  # it was entered
        tries = []
        for _ in range(CLOCK_TRIES):
            before_ns = now_ns()
            seconds, micros = await self._redis.time()
            after_ns = now_ns()
            there_us = int(seconds) * 1_000_000 + int(micros)
            tries.append((after_ns - before_ns, there_us - (before_ns + after_ns) // 2000))
        took_ns, ahead_us = min(tries)
        return ahead_us, took_ns // 2

    def _write(self, until_ns: int) -> None:
        began_ns = now_ns()
        seen = parse(self.monitor.lines)
        records = list(log.read(self._log)) if self._log else []
        joined, counts = join(
            seen,
            records,
            from_ns=self._from_ns,
            until_ns=until_ns,
            ahead_us=self._offset_us,
            uncertain_ns=self._uncertain_ns,
        )
        own = self._own | {line.address for line in seen if line.words[1:] == [b"SETNAME", OWN_NAME]}
        own_units = {line.unit for line in joined if line.seen.address in own}
        wanted = {line.unit for line in joined if self._names.named_by(line.seen.words)} - own_units
        written = [line for line in joined if line.unit in wanted]
        for line in written:
            self._history.write(self._line(line))
        self._history.note(
            "trace",
            lost=self.monitor.lost or _short(counts),
            links=self._log is not None,
            lines=len(self.monitor.lines),
            unreadable=len(self.monitor.lines) - len(seen),
            own=sum(1 for line in joined if line.unit in own_units),
            strangers=sum(1 for line in joined if not line.pod and line.unit not in own_units),
            written=len(written),
            by_monitor=counts.monitor,
            by_links=counts.links,
            joined=counts.joined,
            unknown=sum(1 for line in joined if line.pod and line.script < 0 and line.exchange is None),
            lost_connections=counts.lost,
            monitor_bytes=self.monitor.bytes_read,
            links_bytes=self._log.stat().st_size if self._log else 0,
            joining_s=(now_ns() - began_ns) / NS_PER_S,
        )

    def _line(self, line: Joined) -> Line:
        seen, exchange = line.seen, line.exchange
        data: dict[str, Any] = {
            "args": [text(word) for word in seen.words[1:]],
            "order": seen.order,
            "unit": line.unit,
            "at_us": seen.at_us,
            "from": seen.address,
        }
        if seen.address == LUA:
            data |= {"outcome": "called", "script": line.script}
        elif exchange is None:
            data["outcome"] = "unknown"
        else:
            data |= {"outcome": exchange.outcome, "reply": _reply(exchange.reply), "sent_ns": exchange.sent_ns}
            data |= {"replied_ns": exchange.replied_ns} if exchange.replied_ns else {}
            data |= {"multi": True} if exchange.queued else {}
        return Line((seen.at_us - self._offset_us) * 1000, "redis", seen.name, pod=line.pod, data=data)


def text(word: bytes) -> str:
    """An argument as the history has it; equal texts were equal arguments."""
    if len(word) <= TEXT_MAX:
        with suppress(UnicodeDecodeError):
            return word.decode()
    digest = blake2b(word, digest_size=8).hexdigest()
    return f"{word[:HEAD].decode(errors='backslashreplace')}… {len(word)} bytes {digest}"


def _reply(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return text(reply)
    if isinstance(reply, list):
        return [_reply(one) for one in reply]
    return reply


def _short(counts: Counts) -> str:
    missing = counts.links - counts.joined
    return f"{missing} commands that passed the links are not among MONITOR's" if missing else ""
