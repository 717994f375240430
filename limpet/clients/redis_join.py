"""Joins what MONITOR saw with what the links saw: order and content from the one, pod and outcome from the other.

Both list the commands of one connection in the same order. Each lacks some that the other has (monitor.py says which),
so they are aligned. What cannot be aligned stays as MONITOR has it, of unknown outcome, and is counted.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from limpet.clients.monitor import LUA, Monitored
from limpet.links.log import NONE, Exchange, Lost
from limpet.links.resp import KEEP_BYTES, KEEP_ITEMS

SCRIPTS = frozenset(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"))
REFUSED = re.compile(
    r"ERR (unknown|wrong number|Can't execute)|"
    r"(NOAUTH|LOADING|OOM|READONLY|MASTERDOWN|BUSY|NOPERM|MISCONF|NOREPLICAS|MOVED|ASK|CLUSTERDOWN|CROSSSLOT|DENIED)\b"
)
NOT_ALWAYS_SHOWN = frozenset(
    b"ACL BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMANDLOG CONFIG DEBUG FAILOVER LATENCY MODULE MONITOR PSYNC QUIT "
    b"REPLCONF REPLICAOF ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SYNC".split()
)
SEARCHED = 1000  # exchanges of a connection, before a line is given up
MARGIN_NS = 250_000_000  # by which two clocks may have drifted apart in a run
CLOCKS_NS = 200_000  # to which they nearly always agree, beside how uncertain their comparison was
REDACTED = b"(redacted)"


@dataclass(frozen=True, slots=True)
class Joined:
    """One command as the server carried it out.

    Attributes:
        seen: its line.
        exchange: the same as a link saw it; None for what a script called, or when it was not found.
        pod: whose it is, "" when not known; that of its script for what a script called.
        unit: the `order` of what began the indivisible whole that it is part of: of its script or MULTI, else its own.
        script: the `order` of the script that called it, else -1.
    """

    seen: Monitored
    exchange: Exchange | None
    pod: str
    unit: int
    script: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How complete a join is.

    Attributes:
        monitor: commands of pods that MONITOR saw, without what scripts called.
        links: commands that the links saw, and that MONITOR had to show.
        joined: of these found in both.
        lost: why each connection was lost that a link could not follow to its end.
    """

    monitor: int
    links: int
    joined: int
    lost: tuple[str, ...]


def join(
    lines: Sequence[Monitored],
    records: Iterable[Exchange | Lost],
    *,
    from_ns: int,
    until_ns: int,
    ahead_us: int | None = None,
    uncertain_ns: int = 0,
) -> tuple[list[Joined], Counts]:
    """Every line with what the links know of it.

    `from_ns` and `until_ns` (the harness's clock) is when MONITOR certainly watched: what a link saw in between must be
    among the lines. `ahead_us` is the server's clock less the harness's, where it is known, give or take
    `uncertain_ns`. By it equal commands are told apart where one of both sides lacks the first: it was over just before
    `from_ns`, or blocked since long before.
    """
    by_address: dict[str, list[Exchange]] = defaultdict(list)
    pods: dict[str, str] = {}
    lost = []
    for record in records:
        pods[record.address] = record.pod
        if isinstance(record, Lost):
            lost.append(f"{record.pod}: {record.why}")
        elif carried_out(record) and not 0 < record.replied_ns < from_ns:
            by_address[record.address].append(record)
    followed = {address: _Followed(exchanges, ahead_us, uncertain_ns) for address, exchanges in by_address.items()}
    joined = []
    units = _Units()
    for seen in lines:
        unit, script = units.of(seen)
        exchange = None
        if seen.address in followed and script < 0:
            exchange = followed[seen.address].find(seen)
        pod = units.pod_of_script if script >= 0 else pods.get(seen.address, "")
        if seen.name in SCRIPTS:
            units.pod_of_script = pod
        joined.append(Joined(seen, exchange, pod, unit, script))
    due = [
        record
        for one in followed.values()
        for record in one.exchanges
        if record.outcome != NONE
        and from_ns < record.sent_ns
        and record.replied_ns < until_ns
        and record.words[0].upper() not in NOT_ALWAYS_SHOWN
    ]
    found = {id(line.exchange) for line in joined if line.exchange}
    from_pods = sum(1 for line in joined if line.pod and line.script < 0)
    return joined, Counts(from_pods, len(due), sum(1 for record in due if id(record) in found), tuple(lost))


def carried_out(record: Exchange) -> bool:
    """Whether the server began to carry it out, if it got it."""
    error = record.reply.get("error") if isinstance(record.reply, dict) else None
    return not (record.aborted or (error and REFUSED.match(error)))


class _Followed:
    """The exchanges under one address, found one after the other."""

    def __init__(self, exchanges: list[Exchange], ahead_us: int | None, uncertain_ns: int) -> None:
        self._ahead_us = ahead_us
        self._agree_ns = CLOCKS_NS + uncertain_ns
        self.exchanges = sorted(exchanges, key=lambda one: (one.connection, one.place))
        self._next = 0

    def find(self, seen: Monitored) -> Exchange | None:
        best, best_off_ns = -1, MARGIN_NS + 1
        for place in range(self._next, min(self._next + SEARCHED, len(self.exchanges))):
            exchange = self.exchanges[place]
            lag_ns = self._lag_ns(seen, exchange)
            if lag_ns < -MARGIN_NS:
                break  # this one was sent later, and so were all behind it
            took_ns = exchange.replied_ns - exchange.sent_ns if exchange.replied_ns else lag_ns
            off_ns = max(0, -lag_ns, lag_ns - took_ns)  # outside the time between its sending and its reply
            if off_ns < best_off_ns and _same(seen, exchange):
                best, best_off_ns = place, off_ns
                if off_ns <= self._agree_ns:
                    break  # of several that fit, the first; only among those that do not, the nearest
        return self._take(best) if best >= 0 else None

    def _take(self, place: int) -> Exchange:
        self._next = place + 1
        return self.exchanges[place]

    def _lag_ns(self, seen: Monitored, exchange: Exchange) -> int:
        """How long after it was sent the server carried it out, if it is the one; 0 where that cannot be told."""
        return 0 if self._ahead_us is None else (seen.at_us - self._ahead_us) * 1000 - exchange.sent_ns


def _same(seen: Monitored, exchange: Exchange) -> bool:
    if REDACTED in seen.words:
        return seen.words[0] == exchange.words[0]
    if len(seen.words) != len(exchange.words) and len(exchange.words) < KEEP_ITEMS:
        return False
    return all(
        ours == theirs[:KEEP_BYTES]
        for ours, theirs in zip(exchange.words, seen.words, strict=False)  # of long ones a link keeps the beginning
    )


class _Units:
    """Which commands are one indivisible whole."""

    def __init__(self) -> None:
        self.pod_of_script = ""
        self._last = (-1, -1)  # the last command that no script called: its order and its unit
        self._multi: dict[str, int] = {}

    def of(self, seen: Monitored) -> tuple[int, int]:
        """Unit and script of the next line."""
        if seen.address == LUA:
            order, unit = self._last
            return unit, order
        name = seen.name
        if name == "MULTI":
            self._multi[seen.address] = seen.order
        unit = self._multi.get(seen.address, seen.order)
        if name in ("EXEC", "DISCARD", "RESET"):
            self._multi.pop(seen.address, None)
        self._last = seen.order, unit
        return unit, -1
