"""Who is a live replica, by the heartbeats: what a look at all of them shows, who joined, whether the dead ones go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpet.checkers.parts import PartBuilder
from limpet.history import Line, Op, Section, seconds_between

SLACK_S = 0.5  # beyond the TTL: Redis expires lazily
GONE = -2  # as PTTL says it of a key that went between being found and being read

Key = Mapping[str, Any]  # {"value", "ttl_ms"}


@dataclass(frozen=True, slots=True)
class Look:
    """One look at all heartbeats, by instance, at a moment of the server, in seconds."""

    op: Op
    moment: float
    seen: Mapping[str, Key]

    def began_s(self, line: Line) -> float:
        """The least time from `line` to what was seen."""
        return seconds_between(line, self.op.call)

    def ended_s(self, line: Line) -> float:
        """The most time from `line` to what was seen."""
        return seconds_between(line, self.op.done or self.op.call)


def looks_at(section: Section) -> list[Look]:
    """All looks, in their order."""
    found = []
    for op in section.ops("heartbeats"):
        if op.type == "ok" and op.done:
            keys = op.done.value or {}
            seen = {name: key for name, key in keys.items() if key["ttl_ms"] != GONE}
            found.append(Look(op, float(op.data.get("server_time", 0)), seen))
    return found


def are_members(beating: Collection[str], instances: Collection[str]) -> bool:
    """Whether these heartbeats are those of all replicas and no other; where no log names instances, as many."""
    return set(beating) == set(instances) if instances and all(instances) else len(beating) == len(instances)


def judge_settled(
    part: PartBuilder, looks: Sequence[Look], instances: Sequence[str], since: tuple[int, Line], ttl_s: float
) -> None:
    """By the last look, or when the TTL has passed, exactly the live replicas have a heartbeat.

    `looks` are those after `since`, `instances` the replicas that live since then ("" where no log names them).
    """
    no, line = since
    if not looks:
        return
    last = looks[-1]
    right, took_s = are_members(last.seen, instances), last.began_s(line)
    told = f"{len(last.seen)} heartbeats {took_s:.1f} s after {len(instances)} replicas were ready"
    if right or took_s > ttl_s:
        part.had += 1
    else:
        part.doubt = f"{told}, and nobody looked again"
    if not right and took_s > ttl_s:
        expected = f"those of the {len(instances)} replicas, within {ttl_s:g} s"
        part.find(told, expected=expected, lines=(no, last.op.done_no))


def judge_gone(part: PartBuilder, looks: Sequence[Look], instance: str, since: tuple[int, Line], ttl_s: float) -> None:
    """A heartbeat that was there before `since` is not there any more when the TTL has passed."""
    no, line = since
    after = [look for look in looks if look.op.call_no > no]
    if not after or not any(instance in look.seen for look in looks if look.op.call_no < no):
        return
    late = [look for look in after if instance in look.seen and look.began_s(line) > ttl_s + SLACK_S]
    if late:
        part.find(
            f"the heartbeat of {instance} was still there {late[-1].began_s(line):.1f} s later",
            expected=f"gone within {ttl_s:g} s",
            lines=(no, late[-1].op.done_no),
        )
    part.had += bool(late) or instance not in after[-1].seen  # else it was not watched for long enough
