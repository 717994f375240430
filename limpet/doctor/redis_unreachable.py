"""Redis does not answer: at all, or one replica does not get through to it."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError
from limpet.doctor.beats import beats
from limpet.doctor.key_name import near_keys
from limpet.report.wording import one_line
from limpet.status.replicas import Replica

REMEDIES = {
    "refused": "see that Redis runs and listens on this address and port",
    "auth": "give the right user and password in the address: redis://USER:PASSWORD@HOST:PORT/0",
    "wrongpass": "give the right user and password in the address: redis://USER:PASSWORD@HOST:PORT/0",
    "noperm": "allow this user PING, TIME, INFO, SCAN, TYPE, PTTL, GET and SMEMBERS",
    "loading": "wait: Redis is reading its file after a start",
    "maxclients": "raise maxclients, or end the connections that leak",
    "name or service": "correct the host name, or see that the Service exists",
    "timeout": "see what drops packets on the way: a network policy, a firewall, a frozen server",
}


def _look(seen: Seen) -> Iterator[Cause]:
    if not seen.status.redis_asked:
        raise UnseenError("no address of Redis is known: --redis URL")
    status = seen.status
    if status.redis is None:
        said = [
            f"{r.name}: {r.ready.asked}: {r.ready.status or ''} {r.ready.text}"
            for r in status.replicas
            if r.ready.asked
        ]
        yield Cause(
            EXAMINATION.name,
            frozenset({"Redis"}),
            f"Redis does not answer at {_without_password(status.place.redis_url)}",
            (status.redis_error, *map(one_line, said)),
            next((text for word, text in REMEDIES.items() if word in status.redis_error.lower()), REMEDIES["refused"]),
        )
        return
    for replica in status.replicas:
        evidence = list(_cut_off(seen, replica))
        if evidence:
            yield Cause(
                EXAMINATION.name,
                frozenset({replica.name}),
                f"{replica.name} does not get through to Redis, which answers from here",
                (*evidence, f"it lives: {replica.health.asked}: {replica.health.status}"),
                f"see what stands between {replica.name} and Redis: the address it was given, a network policy",
            )


def _cut_off(seen: Seen, replica: Replica) -> Iterator[str]:
    """What shows that a replica that lives does not reach Redis; nothing when it does, or when it is not told."""
    if not replica.health.good or replica.ready.good:
        return
    if replica.ready.asked and "redis" in replica.ready.text.lower():
        yield one_line(f"it says so itself: {replica.ready.asked}: {replica.ready.status} {replica.ready.text}")
    heartbeat = seen.contract.redis.heartbeat
    if heartbeat and replica.instance and not near_keys(seen, "heartbeat") and (wrong := beats(seen, replica.instance)):
        yield f"{heartbeat.format(instance=replica.instance)} is {wrong}"


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at else url


EXAMINATION = Examination("Redis unreachable", "Redis connection errors", _look, passing=True)
