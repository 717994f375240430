"""Which of the contract's key patterns a key of Redis belongs to, and what a key that belongs to none looks like."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from limpet.contract import Redis

SEPARATOR = re.compile(r"([:/|.]+)")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
# what stands in a key where a pattern has a placeholder, when nobody knows the ids: UUIDs, hexadecimal, numbers
SOME_ID = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![0-9a-z])(?=[0-9a-f]*\d)[0-9a-f]{8,}|\d+", re.IGNORECASE
)
TYPES: Mapping[str, str] = {
    "session": "string",
    "active": "set",
    "owned": "set",
    "heartbeat": "string",
    "websocket": "string",
    "lock": "string",
    "fence": "string",
    "events": "stream",
}


@dataclass(frozen=True, slots=True)
class Match:
    """A key that follows a pattern; `id` is what stands in the place of `{id}` or `{instance}`, "" without one."""

    kind: str
    id: str


class Patterns:
    """The patterns of one contract."""

    def __init__(self, redis: Redis) -> None:
        self.named = {kind: pattern for kind in TYPES if (pattern := getattr(redis, kind)) is not None}
        self._named = [(kind, _expression(pattern)) for kind, pattern in self.named.items()]
        self._also = [_expression(pattern) for pattern in (*redis.also, redis.epoch) if pattern]
        # the more a pattern says, the earlier it is asked: `a:{id}` would take the keys of `a:b:{id}` for its own
        self._named.sort(key=lambda pair: -len(PLACEHOLDER.sub("", self.named[pair[0]])))

    def match(self, key: str) -> Match | None:
        """What a key is by the contract; the kind `also` for patterns without a meaning; None for none of it."""
        for kind, expression in self._named:
            if found := expression.fullmatch(key):
                return Match(kind, found[1] if found.groups() else "")
        for expression in self._also:
            if found := expression.fullmatch(key):
                return Match("also", found[1] if found.groups() else "")
        return None


def shape(key: str, known: Collection[str] = ()) -> str:
    """A key with `{}` in place of ids: those that are `known`, and whatever looks like one."""
    return SOME_ID.sub("{}", "".join("{}" if piece in known else piece for piece in SEPARATOR.split(key)))


def pattern_shape(pattern: str) -> str:
    """A contract's pattern written like `shape` writes keys."""
    return PLACEHOLDER.sub("{}", pattern)


def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{\w+\}|\*)", pattern)
    return re.compile(
        "".join("(.+)" if p == "*" or PLACEHOLDER.fullmatch(p) else re.escape(p) for p in pieces), re.DOTALL
    )
