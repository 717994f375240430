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

Of a cluster only three operations matter: its write, the read that ended first and the read that started last. So a
register is told its operations one by one, in any order, and keeps no others: a million of them fit.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from math import inf
from typing import Literal

import msgspec

Kind = Literal["write", "read", "delete", "absent", "present"]


class Access(msgspec.Struct, frozen=True, gc=False):
    """One operation on the register. A struct, since there are millions.

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


class Illegal(msgspec.Struct, frozen=True):
    """Why no order explains the history, and the operations that show it."""

    why: str
    accesses: tuple[Access, ...]


class WrittenTwiceError(ValueError):
    """A value was written twice: this algorithm cannot tell which write a read has seen."""


class _Cluster(msgspec.Struct, gc=False, eq=False):
    """All operations that concern one value, as far as they matter. There are as many as values.

    Attributes:
        first_read, last_read: the read that ended first, the one that started last.
        first_end, last_start: of the cluster, once it is whole; those of `ended_by` and `started_by`.
    """

    name: Hashable
    write: Access | None = None
    first_read: Access | None = None
    last_read: Access | None = None
    first_end: float = inf
    last_start: float = -inf
    ended_by: Access | None = None
    started_by: Access | None = None

    def take(self, access: Access, *, ends: bool = True) -> None:
        if ends and access.end < self.first_end:
            self.first_end, self.ended_by = access.end, access
        if access.start > self.last_start:
            self.last_start, self.started_by = access.start, access


class Register:
    """One register: `tell` it its operations, then ask why it is illegal."""

    __slots__ = ("_absent", "_clusters", "_created_end", "_deletes", "_present")

    def __init__(self) -> None:
        self._clusters: dict[Hashable, _Cluster] = {}
        self._absent: list[Access] = []
        self._present: list[Access] = []
        self._deletes: list[Access] = []
        self._created_end = inf  # of the acknowledged write that ended first, which is the create

    def tell(self, access: Access) -> None:
        """One more operation. Raises WrittenTwiceError."""
        kind, outcome = access.kind, access.outcome
        if kind == "write":
            self._write(access)
        elif kind == "delete":
            if outcome != "fail":
                self._deletes.append(access)
        elif outcome != "ok":
            return
        elif kind == "read":
            cluster = self._clusters.get(access.value)
            if cluster is None:
                self._clusters[access.value] = _Cluster(access.value, None, access, access)
                return
            if cluster.first_read is None or access.end < cluster.first_read.end:
                cluster.first_read = access
            if cluster.last_read is None or access.start > cluster.last_read.start:
                cluster.last_read = access
        else:
            (self._absent if kind == "absent" else self._present).append(access)

    def _write(self, access: Access) -> None:
        cluster = self._clusters.get(access.value)
        if cluster is None:
            self._clusters[access.value] = _Cluster(access.value, access)
        elif cluster.write is None or cluster.write.outcome == "fail":
            cluster.write = access
        elif access.outcome != "fail":
            raise WrittenTwiceError(f"{access.value!r} was written twice: this algorithm needs different values")
        if access.outcome == "ok" and access.end < self._created_end:
            self._created_end = access.end

    def illegal(self) -> list[Illegal]:
        """All reasons why the history is illegal; empty when it is linearizable."""
        found = list(_twice_deleted(self._deletes))
        before, after = _absences(self._absent, self._deletes, self._created_end)
        values, errors = _values(self._clusters.values())
        found += errors
        found += _presence(before, after, self._present)
        found += _mutual([before, *values, *([after] if after else ())])
        return found


def check(accesses: Iterable[Access]) -> list[Illegal]:
    """All reasons why the history of one register is illegal. Raises WrittenTwiceError."""
    register = Register()
    for access in accesses:
        register.tell(access)
    return register.illegal()


def _twice_deleted(deletes: list[Access]) -> Iterator[Illegal]:
    acknowledged = [a for a in deletes if a.outcome == "ok"]
    if len(acknowledged) > 1:
        yield Illegal("it was deleted twice, each time with success", tuple(acknowledged[:2]))


def _absences(absent: list[Access], deletes: list[Access], created_end: float) -> tuple[_Cluster, _Cluster | None]:
    """Absence before the create, and absence after the delete (None where no delete can have happened)."""
    before = _Cluster(_NOT_YET, first_end=-inf)
    after = _Cluster(_NO_MORE, last_start=inf) if deletes else None
    if after:
        for delete in _standing(deletes):
            after.take(delete, ends=delete.outcome == "ok")
    delete_start = min((a.start for a in deletes), default=inf)
    for read in absent:
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


def _values(clusters: Iterable[_Cluster]) -> tuple[list[_Cluster], list[Illegal]]:
    errors: list[Illegal] = []
    kept = []
    for cluster in clusters:
        write, first, last = cluster.write, cluster.first_read, cluster.last_read
        if first is None or last is None:
            if write is not None and write.outcome == "ok":
                cluster.first_end, cluster.last_start = write.end, write.start
                cluster.ended_by = cluster.started_by = write
                kept.append(cluster)
            continue
        if write is None or write.outcome == "fail" or first.end < write.start:
            errors.append(_orphan(cluster, first))
        if write is None:
            continue
        cluster.first_end, cluster.ended_by = first.end, first
        if write.outcome == "ok" and write.end < first.end:
            cluster.first_end, cluster.ended_by = write.end, write
        later = last if last.start > write.start else write
        cluster.last_start, cluster.started_by = later.start, later
        kept.append(cluster)
    return kept, errors


def _orphan(cluster: _Cluster, first: Access) -> Illegal:
    """A value that was read and that no write explains."""
    if cluster.write is None:
        return Illegal(f"it was read as {cluster.name!r}, which nobody wrote", (first,))
    if cluster.write.outcome == "fail":
        return Illegal(f"it was read as {cluster.name!r}, the write of which was refused", (cluster.write, first))
    return Illegal(f"it was read as {cluster.name!r} before that was written", (first, cluster.write))


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
    forward: list[_Cluster] = []
    backward: list[_Cluster] = []
    for cluster in clusters:
        (forward if cluster.first_end < cluster.last_start else backward).append(cluster)
    forward.sort(key=lambda cluster: cluster.first_end)
    widest: _Cluster | None = None
    starts: list[float] = []  # of forward zones
    reach: list[_Cluster] = []  # beside each the one that reaches furthest so far
    for zone in forward:
        if widest and zone.first_end < widest.last_start and widest.first_end < zone.last_start:
            yield _contradiction(widest, zone)
        if widest is None or zone.last_start > widest.last_start:
            widest = zone
        starts.append(zone.first_end)
        reach.append(widest)
    for zone in backward:
        index = bisect_left(starts, zone.last_start) - 1
        if index >= 0 and zone.first_end < reach[index].last_start:
            yield _contradiction(reach[index], zone)


def _contradiction(one: _Cluster, other: _Cluster) -> Illegal:
    shown = [a for a in (one.ended_by, one.started_by, other.ended_by, other.started_by) if a]
    distinct = tuple(sorted(dict.fromkeys(shown), key=lambda a: (a.start, a.end)))
    return Illegal(f"{_named(one)} and {_named(other)} must each have come before the other", distinct)


_NOT_YET = ("absence before its create",)
_NO_MORE = ("absence after its delete",)


def _named(cluster: _Cluster) -> str:
    return cluster.name[0] if cluster.name in (_NOT_YET, _NO_MORE) else repr(cluster.name)
