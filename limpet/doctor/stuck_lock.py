"""A lock that nobody will ever free: it has no time to live, or a longer one than any holder asks for."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen

SLACK_S = 0.5


def _look(seen: Seen) -> Iterator[Cause]:
    locks = seen.keys("lock").locks
    ttl_s = seen.contract.timing.lock_ttl_s
    for session, lock in sorted(locks.items()):
        key = (seen.contract.redis.lock or "").format(id=session)
        if lock.ttl_ms < 0:
            life = "it never expires (PTTL -1)"
        elif ttl_s is not None and lock.ttl_ms > (ttl_s + SLACK_S) * 1000:
            life = f"it expires in {lock.ttl_ms / 1000:.1f} s, and timing.lock_ttl_s is {ttl_s:g}"
        else:
            continue
        yield Cause(
            EXAMINATION.name,
            frozenset({key}),
            f"The lock of session {session} outlives its holder",
            (f"{key} is {lock.holder[:60]!r}", life),
            "take locks by one command, SET key token NX PX ttl; this one can be freed by hand: DEL " + key,
        )


EXAMINATION = Examination("stuck lock", "a session cannot be changed any more", _look, passing=True)
