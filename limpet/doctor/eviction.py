"""Redis may throw keys away when its memory is full, and sessions are keys."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen

SAFE = "noeviction"


def _look(seen: Seen) -> Iterator[Cause]:
    info = seen.server().info
    policy, limit = info.get("maxmemory_policy", SAFE), int(info.get("maxmemory") or 0)
    if policy == SAFE:
        return
    evidence = [f"INFO memory: maxmemory_policy is {policy}"]
    if limit:
        evidence.append(f"{info.get('used_memory')} of {limit} bytes are in use")
    else:
        evidence.append("no limit is set now (maxmemory is 0), so it will do so once one is")
    evidence.append(f"{info.get('evicted_keys', 0)} keys were evicted since it started")
    which = "heartbeats, locks and all else that expires" if policy.startswith("volatile-") else "sessions"
    yield Cause(
        EXAMINATION.name,
        frozenset({"maxmemory-policy"}),
        f"Redis may evict {which} when its memory is full",
        tuple(evidence),
        f"set `maxmemory-policy {SAFE}`; caches belong on a server of their own",
    )


EXAMINATION = Examination("eviction", "sessions are gone after a while", _look)
