"""Linearizability of one register whose written values are all different, in O(n log n).

After Gibbons and Korach, "Testing Shared Memories" (SIAM J. Comput. 26, 1997): the write of a value and its reads are
a *cluster*. With f the earliest end and s the latest start among a cluster's operations, cluster a must come before b
iff f_a < s_b; a history is illegal iff two clusters must each come before the other, or a value is read before its
write began.

The register here is a record that is absent, is created, changes, and may be deleted for good:
- absence before the create and absence after the delete are clusters of their own; the first comes before everything,
  and a last read of absence, of which nobody knows but this module, comes after everything;
- an observation of mere presence (an id in a list) belongs to no value; it lies between the two absences;
- a write of unknown outcome that nobody read is dropped; one that was read ended when it was first read, at the latest;
- a write that was refused and read all the same is a finding of its own kind.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Literal

Kind = Literal["write", "read", "delete", "absent", "present"]


@dataclass(frozen=True, slots=True)
class Access:
    """One operation on the register.

    Attributes:
        kind: `write` of `value` (the create is one), `read` of `value`, `delete`, or merely `absent` or `present`.
        start, end: when it was called and when it came back; any unit.
        outcome: `ok`, `fail` or `info`; reads that are not ok are dropped.
        line: names it in findings.
    """

    kind: Kind
    start: float
    end: float
    value: Hashable = None
    outcome: Literal["ok", "fail", "info"] = "ok"
    line: int = 0


@dataclass(frozen=True, slots=True)
class Illegal:
    """Why no order explains the history, and the operations that show it."""

    why: str
    accesses: tuple[Access, ...]


@dataclass(slots=True)
class _Cluster:
    """All operations that concern one value. `first_end` and `last_start` are those of `ended_by` and `started_by`."""

    name: str
    write: Access | None = None
    reads: list[Access] = field(default_factory=list)
    first_end: float = inf
    last_start: float = -inf
    ended_by: Access | None = None
    started_by: Access | None = None

    def take(self, access: Access, *, ends: bool = True) -> None:
        if ends and access.end < self.first_end:
            self.first_end, self.ended_by = access.end, access
        if access.start > self.last_start:
            self.last_start, self.started_by = access.start, access


def check(accesses: Iterable[Access]) -> list[Illegal]:
    """All reasons why the history of one register is illegal; empty when it is linearizable.

    The first access of kind `write` that was acknowledged is the create.
    """
    done = [a for a in accesses if a.outcome == "ok" or a.kind in ("write", "delete")]
    created_end = min((a.end for a in done if a.kind == "write" and a.outcome == "ok"), default=inf)
    deletes = [a for a in done if a.kind == "delete" and a.outcome != "fail"]
    found = list(_twice_deleted(deletes))
    before, after = _absences(done, deletes, created_end)
    values, errors = _values(done)
    found += errors
    present = [a for a in done if a.kind == "present"]
    found += _presence(before, after, present)
    found += _mutual([before, *values, *([after] if after else ())])
    return found


def _twice_deleted(deletes: list[Access]) -> Iterator[Illegal]:
    acknowledged = [a for a in deletes if a.outcome == "ok"]
    if len(acknowledged) > 1:
        yield Illegal("it was deleted twice, each time with success", tuple(acknowledged[:2]))


def _absences(done: list[Access], deletes: list[Access], created_end: float) -> tuple[_Cluster, _Cluster | None]:
    """Absence before the create, and absence after the delete (None where no delete can have happened)."""
    before = _Cluster("absence before its create", first_end=-inf)
    after = _Cluster("absence after its delete", last_start=inf) if deletes else None
    if after:
        for delete in _standing(deletes):
            after.take(delete, ends=delete.outcome == "ok")
    delete_start = min((a.start for a in deletes), default=inf)
    for read in (a for a in done if a.kind == "absent"):
        early = read.start < created_end  # may have been read before the create took effect
        late = after is not None and read.end > delete_start
        if early and late:
            continue  # either explains it
        if late and after:
            after.take(read)
        else:
            before.take(read)
    return before, after


def _standing(deletes: list[Access]) -> list[Access]:
    """The acknowledged deletes, or else the earliest of unknown outcome, which stands for all."""
    acknowledged = [a for a in deletes if a.outcome == "ok"]
    return acknowledged or [min(deletes, key=lambda a: a.start)]


def _values(done: list[Access]) -> tuple[list[_Cluster], list[Illegal]]:
    clusters: dict[Hashable, _Cluster] = {}
    errors: list[Illegal] = []
    for write in (a for a in done if a.kind == "write"):
        cluster = clusters.setdefault(write.value, _Cluster(f"{write.value!r}"))
        if cluster.write is not None and write.outcome != "fail":
            raise ValueError(f"{write.value!r} was written twice: this algorithm needs different values")
        cluster.write = write
    for read in (a for a in done if a.kind == "read"):
        cluster = clusters.setdefault(read.value, _Cluster(f"{read.value!r}"))
        cluster.reads.append(read)
    kept = []
    for cluster in clusters.values():
        error = _orphan(cluster)
        if error:
            errors.append(error)
        if cluster.write is None or (cluster.write.outcome != "ok" and not cluster.reads):
            continue
        for read in cluster.reads:
            cluster.take(read)
        cluster.take(cluster.write, ends=cluster.write.outcome == "ok")
        kept.append(cluster)
    return kept, errors


def _orphan(cluster: _Cluster) -> Illegal | None:
    """A value that was read and that no write explains."""
    if not cluster.reads:
        return None
    first = min(cluster.reads, key=lambda a: a.end)
    if cluster.write is None:
        return Illegal(f"it was read as {cluster.name}, which nobody wrote", (first,))
    if cluster.write.outcome == "fail":
        return Illegal(f"it was read as {cluster.name}, the write of which was refused", (cluster.write, first))
    if first.end < cluster.write.start:
        return Illegal(f"it was read as {cluster.name} before that was written", (first, cluster.write))
    return None


def _presence(before: _Cluster, after: _Cluster | None, present: list[Access]) -> Iterator[Illegal]:
    for access in present:
        if before.started_by and access.end < before.started_by.start:
            yield Illegal("it was there, and later it was not there yet", (access, before.started_by))
        if after and after.ended_by and after.first_end < access.start:
            yield Illegal("it was there again after it had gone", (after.ended_by, access))


def _mutual(clusters: list[_Cluster]) -> Iterator[Illegal]:
    """Pairs of clusters that must each come before the other.

    Forward zones [f, s] must not overlap; a backward zone [s, f] must not lie within a forward one.
    """
    forward = sorted((c for c in clusters if c.first_end < c.last_start), key=lambda c: c.first_end)
    backward = [c for c in clusters if c.first_end >= c.last_start]
    widest: _Cluster | None = None
    reach: list[tuple[float, _Cluster]] = []  # forward zones by start, each with the one that reaches furthest so far
    for zone in forward:
        if widest and zone.first_end < widest.last_start and widest.first_end < zone.last_start:
            yield _contradiction(widest, zone)
        if widest is None or zone.last_start > widest.last_start:
            widest = zone
        reach.append((zone.first_end, widest))
    starts = [start for start, _ in reach]
    for zone in backward:
        index = bisect_left(starts, zone.last_start) - 1
        if index >= 0 and zone.first_end < reach[index][1].last_start:
            yield _contradiction(reach[index][1], zone)


def _contradiction(one: _Cluster, other: _Cluster) -> Illegal:
    shown = [a for a in (one.ended_by, one.started_by, other.ended_by, other.started_by) if a]
    distinct = tuple(sorted(dict.fromkeys(shown), key=lambda a: (a.start, a.end)))
    return Illegal(f"{one.name} and {other.name} must each have come before the other", distinct)
