"""What passed the links where Redis is spoken: each command with its reply, written by the relay, read by the harness.

One file for all links of a stack, of records with their length (four bytes, big-endian) before them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

LENGTH_BYTES = 4
NONE, REPLIED, UNDELIVERED = "none", "replied", "undelivered"


class Exchange(msgspec.Struct, tag="x", array_like=True, frozen=True):
    """A command and what became of it.

    Attributes:
        pod: whose link it passed.
        address: `host:port` that the server saw it come from.
        connection: a number for each connection of the relay.
        place: which command of that connection it is, from 1.
        sent_ns: when its last byte was sent on to the server, by the harness's clock.
        replied_ns: when the last byte of its reply had come from the server; 0 if none came.
        words: name, keys and arguments, each and all of them bounded as in resp.Frame.
        reply: as the value of a resp.Frame; an error is {"error": text}.
        outcome: `replied`; `undelivered`: the link kept the reply from the pod; `none`: no reply was seen, or there is
            none, as for SUBSCRIBE.
        queued: it was inside MULTI; the reply is the one that its EXEC brought. `aborted`: that never carried it out.
    """

    pod: str
    address: str
    connection: int
    place: int
    sent_ns: int
    replied_ns: int
    words: list[bytes]
    reply: Any = None
    outcome: str = NONE
    queued: bool = False
    aborted: bool = False


class Lost(msgspec.Struct, tag="l", array_like=True, frozen=True):
    """From here on the exchanges of a connection are not known."""

    pod: str
    address: str
    connection: int
    at_ns: int
    why: str


class Log:
    """The writing end. Raises OSError when the file cannot be made."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb", buffering=1 << 16)
        self._encoder = msgspec.msgpack.Encoder()

    def write(self, record: Exchange | Lost) -> None:
        """Append one."""
        data = self._encoder.encode(record)
        self._file.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)

    def close(self) -> None:
        """Put it all on disk; what comes later is dropped."""
        self._file.close()


def read(path: Path) -> Iterator[Exchange | Lost]:
    """All records, in the order in which the exchanges ended. Raises OSError, ValueError for what is no such file."""
    decoder = msgspec.msgpack.Decoder(Exchange | Lost)
    data = path.read_bytes()
    at = 0
    while at < len(data):
        end = at + LENGTH_BYTES + int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        yield decoder.decode(data[at + LENGTH_BYTES : end])
        at = end
