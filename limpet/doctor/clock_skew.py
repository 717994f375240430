"""A replica's clock is not that of Redis: what its heartbeat says is not when it was written."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError
from limpet.doctor.beats import written_ago_s

SKEW_S_MAX = 2.0
MILLISECONDS = 1e11  # seconds would put it into the year 5138


def _look(seen: Seen) -> Iterator[Cause]:
    keys = seen.keys("heartbeat")
    if not keys.heartbeats:
        raise UnseenError("there is no heartbeat")
    now_s = seen.server().time_s
    for instance, beat in sorted(keys.heartbeats.items()):
        key = (seen.contract.redis.heartbeat or "").format(instance=instance)
        try:
            said_s = float(beat.value)
        except ValueError:
            said_s = float("nan")
        if not said_s < MILLISECONDS:  # not a number is not less
            yield Cause(
                EXAMINATION.name,
                frozenset({key}),
                f"The heartbeat of {instance} is no Unix time in seconds",
                (f"{key} is {beat.value[:60]!r}",),
                "write the Unix time in seconds",
            )
            continue
        ago_s = written_ago_s(seen, instance)
        if ago_s is None and said_s <= now_s + SKEW_S_MAX:
            continue  # when it was written is not told: only a time to come is wrong for sure
        skew_s = said_s - (now_s - (ago_s or 0.0))
        if abs(skew_s) > SKEW_S_MAX:
            side = "ahead of" if skew_s > 0 else "behind"
            written = "" if ago_s is None else f"; it was written {ago_s:.1f} s ago, as its remaining life shows"
            yield Cause(
                EXAMINATION.name,
                frozenset({key}),
                f"The clock of {instance} is {abs(skew_s):.1f} s {side} that of Redis",
                (f"{key} says {said_s:.0f}, Redis' TIME is {now_s:.1f}{written}",),
                "have both machines keep their time by NTP (chrony, systemd-timesyncd); a lease must not be judged by "
                "comparing clocks of two machines",
            )


EXAMINATION = Examination("clock skew", "live replicas look dead, or dead ones alive", _look, passing=True)
