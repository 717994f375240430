"""What heartbeat keys tell: when each was written, by the server's own clock, and what it says."""

from limpet.doctor.base import Seen

LATE_INTERVALS = 1.2  # a heartbeat comes every interval +-20 %
SLACK_S = 1.5  # values are whole seconds, and a busy machine is late


def written_ago_s(seen: Seen, instance: str) -> float | None:
    """Seconds since the key was written, as its remaining life shows; None where that cannot be told."""
    ttl_s = seen.contract.timing.heartbeat_ttl_s
    beat = seen.keys("heartbeat").heartbeats.get(instance)
    if ttl_s is None or beat is None or beat.ttl_ms < 0:
        return None
    return ttl_s - beat.ttl_ms / 1000


def late_after_s(seen: Seen) -> float | None:
    """After how long without a new heartbeat something is wrong; None where the contract has no interval."""
    interval_s = seen.contract.timing.heartbeat_interval_s
    return None if interval_s is None else interval_s * LATE_INTERVALS + SLACK_S


def beats(seen: Seen, instance: str) -> str:
    """What is wrong with the heartbeat of a replica: "gone", "12.3 s old", or "" when nothing is."""
    if instance not in seen.keys("heartbeat").heartbeats:
        return "gone"
    ago_s, late_s = written_ago_s(seen, instance), late_after_s(seen)
    return f"{ago_s:.1f} s old" if ago_s is not None and late_s is not None and ago_s > late_s else ""
