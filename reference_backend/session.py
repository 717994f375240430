"""A session: the record that all replicas share, and how it is written as JSON."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Status = Literal["running", "orphaned", "stopped", "error"]
Labels = dict[str, str | int]
NS_PER_S = 1_000_000_000


class HandedOver(msgspec.Struct, frozen=True):
    """What an owner left to the next one: its source's `position` when the stream stood at `seq`.

    It holds as long as the stream stands there: whoever begins at that position misses nothing and repeats nothing.
    """

    seq: int
    position: int


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One session as clients and Redis see it; a msgspec struct because that is what reads and writes JSON fastest.

    Attributes:
        startTime: RFC 3339 in UTC.
        timeout: longest life, in nanoseconds.
        owner: instance id of the replica that runs the gadget, or ran it last.
        epoch: grows with every change of owner; an integer of 16 digits and more.
        revision: grows with every change of the record.
        rate: events per second of the synthetic source.
        size: bytes to which its events are padded.
        endTime, reason: when and why it ended or lost its owner.
        handedOver: where the owner is to go on, if another one left that to it.
    """

    id: str
    type: str
    namespace: str
    podName: str  # noqa: N815 - names of the contract's JSON
    containerName: str  # noqa: N815
    labels: Labels
    status: Status
    startTime: str  # noqa: N815
    timeout: int
    owner: str
    epoch: int
    revision: int
    source: str
    rate: float
    size: int
    parameters: dict[str, Any]
    endTime: str | None = None  # noqa: N815
    reason: str | None = None
    handedOver: HandedOver | None = None  # noqa: N815

    @property
    def ended(self) -> bool:
        """Whether its stream has ended."""
        return self.status in ("stopped", "error")

    @property
    def start_s(self) -> float:
        """When it started, in Unix seconds."""
        return datetime.fromisoformat(self.startTime).timestamp()

    @property
    def times_out_s(self) -> float:
        """When its time is over, in Unix seconds."""
        return self.start_s + self.timeout / NS_PER_S


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it stood in Redis: its bytes, by which a commit recognises it, and its content."""

    raw: bytes
    session: Session
    owner_alive: bool

    @property
    def shown(self) -> bytes:
        """What clients see: a session that runs nowhere is orphaned, even before somebody wrote that down."""
        if self.owner_alive or self.session.status != "running":
            return self.raw
        return encode(msgspec.structs.replace(self.session, status="orphaned"))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Session)


def encode(session: Session) -> bytes:
    """The record as JSON."""
    return _encoder.encode(session)


def decode(raw: bytes) -> Session:
    """The record from JSON. Raises msgspec.ValidationError if it is none."""
    return _decoder.decode(raw)


def rfc3339(unix_s: float) -> str:
    """A time in UTC with microseconds: `2026-03-01T12:00:00.000000Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
