"""The contract or the backend has a key's name wrong: nothing follows the pattern, and keys that look like it exist."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen
from limpet.status.keys import PLACEHOLDER, TYPES, pattern_shape, shape

# how much two names must have in common: what may be missing because nobody is there must look more alike
ALIKE = dict.fromkeys(TYPES, 0.8) | dict.fromkeys(("session", "active", "owned", "heartbeat"), 0.7)
WORD = re.compile(r"[^\W_]+|\{\}")


def near_keys(seen: Seen, kind: str) -> list[str]:
    """Keys that could be meant by a pattern that no key follows."""
    if seen.status.redis is None:
        return []
    keys = seen.status.redis.keys
    pattern = getattr(seen.contract.redis, kind)
    if pattern is None or _followed(seen, kind):
        return []
    wanted = pattern_shape(pattern)
    ids = {*seen.status.instances, *keys.records, *(keys.active or ())}
    shapes = defaultdict[str, list[str]](list)
    for key, type_ in keys.unknown.items():
        if type_ == TYPES[kind]:
            shapes[shape(key, ids)].append(key)
    likeness, best = max(((_likeness(wanted, found), found) for found in shapes), default=(0.0, ""))
    return sorted(shapes[best]) if likeness >= ALIKE[kind] else []


def _likeness(wanted: str, found: str) -> float:
    """From 0 to 1; the same words in another order are alike too."""
    sorted_ = [" ".join(sorted(WORD.findall(text))) for text in (wanted, found)]
    return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in ((wanted, found), sorted_))


def _followed(seen: Seen, kind: str) -> bool:
    redis = seen.status.redis
    assert redis is not None  # near_keys has seen to it
    keys = redis.keys
    there = {
        "session": keys.records,
        "active": keys.active,
        "owned": keys.owned,
        "heartbeat": keys.heartbeats,
        "websocket": keys.websockets,
        "lock": keys.locks,
        "fence": keys.fences,
        "events": keys.streams,
    }
    return bool(there[kind])


def _look(seen: Seen) -> Iterator[Cause]:
    keys = seen.keys()
    ids = {*seen.status.instances, *keys.records, *(keys.active or ())}
    for kind in TYPES:
        near = near_keys(seen, kind)
        if not near:
            continue
        pattern = getattr(seen.contract.redis, kind)
        placeholder = PLACEHOLDER.search(pattern)
        suggestion = shape(near[0], ids).replace("{}", placeholder[0] if placeholder else "{}", 1)
        yield Cause(
            EXAMINATION.name,
            frozenset({f"redis.{kind}"}),
            f"No key follows `redis.{kind}`, but {len(near)} look like it",
            (f"no key like {pattern}", f"there is {near[0]}"),
            f'write `{kind} = "{suggestion}"` under [redis] in the contract if that is what is meant; else correct the '
            "name in the backend, where it may differ between versions",
        )
    for key, type_ in keys.other_types.items():
        yield Cause(
            EXAMINATION.name,
            frozenset({key}),
            f"{key} is of another type than the contract says",
            (f"{key} is of type {type_}",),
            "correct the key's name in the contract, or end what uses the same name for something else",
        )
    others = {name: table for name, table in seen.server().info.items() if name.startswith("db") and name[2:].isdigit()}
    if keys.counted == 0 and others:
        yield Cause(
            EXAMINATION.name,
            frozenset({"database"}),
            "The database that was looked at is empty, but another one is not",
            tuple(f"{name} has {table.get('keys', '?')} keys" for name, table in sorted(others.items())),
            f"give the database's number in the address of Redis: .../{min(others)[2:]}",
        )


EXAMINATION = Examination("wrong key name", "Redis does not show what the API shows", _look)
