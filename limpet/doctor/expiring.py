"""Live sessions have a time to live: they vanish by themselves."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError, named


def _look(seen: Seen) -> Iterator[Cause]:
    redis, keys = seen.contract.redis, seen.keys()
    if redis.active is None and redis.session is None:
        raise UnseenError("redis.active and redis.session are not in the contract")
    remedy = "write sessions without a time to live; give them one only when they have ended"
    if redis.active and keys.active_ttl_ms >= 0:
        yield Cause(
            EXAMINATION.name,
            frozenset({redis.active}),
            f"{redis.active} expires, and with it all sessions from the list",
            (f"PTTL {redis.active}: {keys.active_ttl_ms} ms", f"it has {len(keys.active or ())} sessions"),
            remedy,
        )
    owned = frozenset[str]().union(*keys.owned.values())
    live = owned if redis.owned else (keys.active or frozenset())
    going = {id_: ttl_ms for id_, ttl_ms in keys.records.items() if ttl_ms >= 0 and id_ in live - keys.ending}
    if redis.session and going:
        first = min(going, key=going.__getitem__)
        whose = "are owned by a replica" if redis.owned else f"are in {redis.active}"
        yield Cause(
            EXAMINATION.name,
            frozenset({redis.session}),
            f"The records of {len(going)} of {len(live)} live sessions expire",
            (f"PTTL {redis.session.format(id=first)}: {going[first]} ms", f"{named(going)} {whose}"),
            remedy,
        )


EXAMINATION = Examination("sessions expire", "sessions are gone after a while", _look, passing=True)
