"""A replica says that it is ready, and does not renew its heartbeat: its event loop or its timer hangs."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError
from limpet.doctor.beats import beats
from limpet.doctor.key_name import near_keys


def _look(seen: Seen) -> Iterator[Cause]:
    keys = seen.keys("heartbeat")
    if near_keys(seen, "heartbeat"):
        raise UnseenError("no key follows redis.heartbeat: see wrong key name")
    pattern = seen.contract.redis.heartbeat or ""
    known = [replica for replica in seen.status.replicas if replica.instance]
    if not known:
        raise UnseenError("nobody tells which replicas there are: a stack of `limpet up` or --routes URL would")
    for replica in known:
        answer = replica.ready if replica.ready.asked else replica.health
        wrong = beats(seen, replica.instance) if replica.ready.good else ""
        if wrong:
            owned = len(keys.owned.get(replica.instance, ()))
            yield Cause(
                EXAMINATION.name,
                frozenset({replica.name}),
                f"{replica.name} is ready, but its heartbeat is not renewed",
                (
                    f"{pattern.format(instance=replica.instance)} is {wrong}",
                    f"{answer.asked}: {answer.status}",
                    f"it owns {owned} sessions, which others may take for orphans",
                ),
                "look in its log for what stops its timer; a heartbeat belongs on the event loop that serves clients",
            )


EXAMINATION = Examination("heartbeat stuck", "a replica is missing among the heartbeats", _look, passing=True)
