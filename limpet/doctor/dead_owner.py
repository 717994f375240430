"""Sessions whose owner is dead: they are listed, and nobody runs their gadget."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError, named
from limpet.doctor.key_name import near_keys


def _look(seen: Seen) -> Iterator[Cause]:
    keys = seen.keys("owned", "heartbeat")
    if near_keys(seen, "heartbeat") or near_keys(seen, "owned"):
        raise UnseenError("no key follows redis.heartbeat or redis.owned: see wrong key name")
    redis = seen.contract.redis
    assert redis.owned is not None
    assert redis.heartbeat is not None
    # one that still answers is not dead, whatever its heartbeat says: other examinations name what is wrong with it
    living = {replica.instance for replica in seen.status.replicas if replica.health.good}
    for instance, ids in sorted(keys.owned.items()):
        if ids and instance not in keys.heartbeats and instance not in living:
            owned, beat = redis.owned.format(instance=instance), redis.heartbeat.format(instance=instance)
            yield Cause(
                EXAMINATION.name,
                ids | {instance},  # the set may be gone at the second look, when nobody owns them
                f"{len(ids)} sessions are owned by {instance}, which is dead",
                (f"{owned} has {named(ids)}", f"there is no key {beat}"),
                "have live replicas look for owners without a heartbeat and take over or delete their sessions",
            )
    if keys.active is None:
        return
    owned_ids = frozenset[str]().union(*keys.owned.values())
    lost = keys.active - owned_ids - keys.ending
    lost = frozenset(id_ for id_ in lost if redis.session is None or id_ in keys.records)
    if lost:
        pattern = redis.owned.format(instance="*")
        yield Cause(
            EXAMINATION.name,
            lost,
            f"{len(lost)} sessions are owned by nobody",
            (f"{redis.active} has {named(lost)}", f"no set {pattern} has them", *_silent(seen)),
            "their owner's set went with it: have live replicas take over what is listed and owned by none",
        )


def _silent(seen: Seen) -> Iterator[str]:
    """Replicas that may have been their owners."""
    for replica in seen.status.replicas:
        health = replica.health
        if health.asked and not health.good:
            yield f"{replica.name} ({replica.instance or '?'}): {health.asked}: {health.status or health.text}"


EXAMINATION = Examination("dead owner", "a session is listed, and nothing comes from it", _look, passing=True)
