"""What a traced Redis command does to one key, as far as the command alone tells.

Source: the command reference at https://redis.io/docs/latest/commands/ (and https://valkey.io/commands/ for SET ...
IFEQ and DELIFEQ).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from limpet.history import Section

Kind = Literal["set", "drop", "expire", "persist", "count", "other"]
Condition = Literal["", "absent", "present", "equal"]

READS = re.compile(
    "BITCOUNT|BITPOS|DUMP|EXISTS|P?EXPIRETIME|GET|GETBIT|GETRANGE|HEXISTS|HM?GET|HGETALL|HKEYS|HLEN|HVALS|LINDEX|LLEN|"
    "LRANGE|MGET|OBJECT|P?TTL|SCARD|SM?ISMEMBER|SMEMBERS|STRLEN|SUBSTR|TOUCH|TYPE|WATCH|XLEN|XREAD|X(REV)?RANGE|ZCARD|"
    "ZRANGE.*|ZSCORE"
)
CHANNELS = re.compile("ECHO|PING|[PS]?(UN)?SUBSCRIBE|S?PUBLISH")  # what these name is no key
SECONDS, MILLISECONDS = 1000, 1
TTLS: Mapping[str, int] = {"EX": SECONDS, "PX": MILLISECONDS}
MOMENTS: Mapping[str, int] = {"EXAT": SECONDS, "PXAT": MILLISECONDS}
CONDITIONS: Mapping[str, Condition] = {"NX": "absent", "XX": "present", "IFEQ": "equal"}


@dataclass(frozen=True, slots=True)
class Command:
    """One traced command.

    Attributes:
        no: its line's number.
        pod: whose it is; the address that it came from when that is not known.
        source: the connection that it came by.
        unit: equal for all commands that were carried out as one.
        at_us: when, by the server's clock.
        known: whether its reply is known.
        delivered: whether the pod got that, or the reply of the script that called it.
        called: a script called it; `in_multi`: it was queued in a transaction.
    """

    no: int
    name: str
    args: tuple[str, ...]
    pod: str
    source: str
    unit: int
    at_us: int
    known: bool
    delivered: bool
    called: bool
    in_multi: bool
    reply: Any

    @property
    def failed(self) -> bool:
        """Whether the server answered with an error."""
        return self.known and isinstance(self.reply, dict) and "error" in self.reply


@dataclass(frozen=True, slots=True)
class Write:
    """What a command does to a key.

    Attributes:
        kind: `set` gives it a value; `drop` removes it; `expire` and `persist` change how long it lives; `count` adds
            to it; `other` writes it in a way that is not followed here.
        value: what it is set to, or how much is added to a number that only the reply would have told.
        ttl_ms: how long it lives from then on; None: for ever, or as before with `keeps_ttl`.
        only_if: what it must be for the command to do anything; "equal" to a value that is not looked at here.
        done: whether it did it, as its reply says; None when that is not known.
    """

    kind: Kind
    value: str = ""
    ttl_ms: float | None = None
    keeps_ttl: bool = False
    only_if: Condition = ""
    done: bool | None = None


def commands(section: Section) -> Iterator[Command]:
    """All traced commands, in the order of the server."""
    delivered: dict[Any, bool] = {}  # of each script
    for no, line in section.of("redis"):
        data = line.data
        outcome = data.get("outcome")
        called = outcome == "called"
        if not called:
            delivered[data.get("order")] = outcome == "replied"
        yield Command(
            no=no,
            name=line.op,
            args=tuple(data.get("args", ())),
            pod=line.pod or str(data.get("from", "")).rpartition(":")[0],
            source=str(data.get("from", "")),
            unit=int(data.get("unit", no)),
            at_us=int(data.get("at_us", 0)),
            known=outcome in ("replied", "undelivered"),
            delivered=delivered.get(data.get("script") if called else data.get("order"), False),
            called=called,
            in_multi=bool(data.get("multi")),
            reply=data.get("reply"),
        )


def reads(command: Command, key: str) -> bool:
    """Whether it looks at the key."""
    return key in command.args and READS.fullmatch(command.name) is not None


def write(command: Command, key: str) -> Write | None:
    """What it does to the key; None when nothing, or when the server refused it."""
    name, args = command.name, command.args
    if key not in args or command.failed or READS.fullmatch(name) or CHANNELS.fullmatch(name):
        return None
    if name in ("DEL", "UNLINK"):
        return Write("drop", done=_dropped(command))
    if name == "MSET" and args.index(key) % 2 == 0:
        return Write("set", args[args.index(key) + 1])
    if args[0] != key and name not in SEVERAL_KEYS:
        return None  # it is an argument, and no key
    effect = EFFECTS.get(name)
    try:
        return effect(command) if effect else Write("other")
    except (IndexError, ValueError):
        return Write("other")


def smaller(one: str, other: str) -> bool:
    """Of whole numbers of any length, as Redis has them."""
    one, other = one.lstrip("0"), other.lstrip("0")
    return (len(one), one) < (len(other), other)


def _set(command: Command) -> Write:
    value, options = command.args[1], [option.upper() for option in command.args[2:]]
    ttl_ms = _ttl_ms(command, options)
    only_if: Condition = next((CONDITIONS[option] for option in options if option in CONDITIONS), "")
    done: bool | None = None
    if command.known:
        if "GET" not in options:
            done = command.reply is not None
        elif only_if == "absent":
            done = command.reply is None
    return Write("set", value, ttl_ms, "KEEPTTL" in options, only_if, done)


def _setex(command: Command) -> Write:
    _, ttl, value = command.args
    return Write("set", value, float(ttl) * (SECONDS if command.name == "SETEX" else MILLISECONDS))


def _expire(command: Command) -> Write:
    amount = float(command.args[1])
    unit = SECONDS if command.name in ("EXPIRE", "EXPIREAT") else MILLISECONDS
    from_ms = command.at_us / 1000 if command.name.endswith("AT") else 0.0
    return Write("expire", ttl_ms=amount * unit - from_ms, done=_is(command, 1))


def _getex(command: Command) -> Write:
    options = [option.upper() for option in command.args[1:]]
    if "PERSIST" in options:
        return Write("persist")
    return Write("expire", ttl_ms=_ttl_ms(command, options)) if options else Write("expire", keeps_ttl=True)


def _ttl_ms(command: Command, options: list[str]) -> float | None:
    for option, amount in pairwise(options):
        if option in TTLS:
            return float(amount) * TTLS[option]
        if option in MOMENTS:
            return float(amount) * MOMENTS[option] - command.at_us / 1000
    return None


def _count(command: Command) -> Write:
    if command.known and isinstance(command.reply, int):
        return Write("set", str(command.reply), keeps_ttl=True)
    return Write("count", command.args[1] if command.name == "INCRBY" else "1", keeps_ttl=True)


def _is(command: Command, reply: int) -> bool | None:
    return command.reply == reply if command.known else None


def _dropped(command: Command) -> bool | None:
    if not command.known or not isinstance(command.reply, int):
        return None
    if command.reply == 0:
        return False
    return True if command.reply == len(command.args) else None


SEVERAL_KEYS = frozenset(("MSETNX", "RENAME", "RENAMENX", "COPY", "SMOVE", "LMOVE"))
EFFECTS: Mapping[str, Callable[[Command], Write]] = {
    "SET": _set,
    "SETNX": lambda command: Write("set", command.args[1], only_if="absent", done=_is(command, 1)),
    "SETEX": _setex,
    "PSETEX": _setex,
    "GETSET": lambda command: Write("set", command.args[1]),
    "GETDEL": lambda command: Write("drop", done=command.reply is not None if command.known else None),
    "DELIFEQ": lambda command: Write("drop", only_if="equal", done=_is(command, 1)),
    "EXPIRE": _expire,
    "PEXPIRE": _expire,
    "EXPIREAT": _expire,
    "PEXPIREAT": _expire,
    "PERSIST": lambda command: Write("persist", done=_is(command, 1)),
    "GETEX": _getex,
    "INCR": _count,
    "INCRBY": _count,
}  # what is not here is followed no further
