"""The messages of a WebSocket, as JSON text. An event is encoded once, by the replica that appends it."""

import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

END_PREFIX = b'{"type":"session_ended"'
GAP_PREFIX = b'{"type":"gap"'
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Observed:
    """One thing that a source saw, or could not see: all of its message but the `seq`.

    `head` and `tail` are the bytes before and after the number.
    """

    head: bytes
    tail: bytes

    @property
    def size(self) -> int:
        """Its bytes, as good as."""
        return len(self.head) + len(self.tail)

    def numbered(self, seq: int) -> bytes:
        """The message."""
        return b"%b%d%b" % (self.head, seq, self.tail)


def event(session_id: str, event_type: str, timestamp: str, data: bytes) -> Observed:
    """An event; `data` is JSON already."""
    return Observed(
        b'{"type":"event","sessionId":"%b","seq":' % session_id.encode(),
        b',"timestamp":"%b","eventType":"%b","data":%b}' % (timestamp.encode(), event_type.encode(), data),
    )


def interruption(session_id: str, since: str, until: str, reason: str) -> Observed:
    """What happened between `since` and `until` (RFC 3339) was not observed."""
    return Observed(
        b'{"type":"interruption","sessionId":"%b","seq":' % session_id.encode(),
        b',"since":"%b","until":"%b","reason":%b}' % (since.encode(), until.encode(), _encode(reason)),
    )


def session_ended(session_id: str, timestamp: str, reason: str) -> Observed:
    """The last message of a stream."""
    return Observed(
        END_PREFIX + b',"sessionId":"%b","seq":' % session_id.encode(),
        b',"timestamp":"%b","reason":%b}' % (timestamp.encode(), _encode(reason)),
    )


def announcement(session_id: str, since: str, until: str, reason: str) -> tuple[bytes, str, str, bytes]:
    """An interruption whose `seq` and `since` only Redis knows, since the last message of the stream tells both.

    What comes before the `seq`; the `since` of a stream without messages; the `until`; what comes after it.
    """
    head = b'{"type":"interruption","sessionId":"%b","seq":' % session_id.encode()
    return head, since, until, b'","reason":%b}' % _encode(reason)


def subscribed(session_id: str, stream: str, seq: int, *, recovered: bool) -> bytes:
    """The first message of a connection: what follows is `seq` + 1 of `stream`."""
    return _message("subscribed", sessionId=session_id, stream=stream, seq=seq, recovered=recovered)


def gap(session_id: str, first: int, last: int) -> bytes:
    """The messages from `first` to `last` are not kept any more.

    The history records a loss that it was told of in this form too: the message with the number `last`.
    """
    return _message("gap", sessionId=session_id, **{"from": first, "to": last}, reason="no longer kept")


def error(code: str, message: str) -> bytes:
    """Why the connection is closed."""
    return _message("error", code=code, message=message)


def new_stream_id(unix_s: float) -> str:
    """26 characters that sort by time (a ULID)."""
    number = int(unix_s * 1000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _message(kind: str, **fields: Any) -> bytes:
    return _encode({"type": kind, **fields})
