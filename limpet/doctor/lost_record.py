"""A session is listed or owned, and its record is gone: it expired, was evicted or was deleted by halves."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError, named
from limpet.doctor.key_name import near_keys


def _look(seen: Seen) -> Iterator[Cause]:
    keys = seen.keys("session", "active")
    if near_keys(seen, "session"):
        raise UnseenError("no key follows redis.session: see wrong key name")
    if keys.active is None:
        return
    redis, info = seen.contract.redis, seen.server().info
    assert redis.session is not None
    lost = keys.active - keys.records.keys()
    if lost:
        yield Cause(
            EXAMINATION.name,
            lost,
            f"{len(lost)} listed sessions have no record",
            (
                f"{redis.active} has {named(lost)}, and there is no {redis.session.format(id=min(lost))}",
                f"since its start Redis evicted {info.get('evicted_keys')} keys; {info.get('expired_keys')} expired",
            ),
            "write and delete a session's keys in one transaction or script; and see the other causes found here",
        )
    unlisted = keys.records.keys() - keys.active - keys.ending
    unlisted = {id_ for id_ in unlisted if keys.records[id_] < 0}
    if unlisted:
        yield Cause(
            EXAMINATION.name,
            frozenset(unlisted),
            f"{len(unlisted)} sessions have a record and are not listed",
            (f"there is {redis.session.format(id=min(unlisted))}, and {redis.active} has not {named(unlisted)}",),
            "write and delete a session's keys in one transaction or script",
        )


EXAMINATION = Examination("lost record", "sessions are gone after a restart", _look, passing=True)
