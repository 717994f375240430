"""A gate before Redis: commands that name certain keys stand at it until they are let through, one by one.

A command stands there with what comes behind it on its connection; other connections go on. What was queued in a
transaction stands there as its EXEC, since nothing of it is carried out before. Subscriptions, messages and commands
that block pass: they change nothing, and a client may wait on them for ever.

What the harness is told of it are the events below; also that a hold (switches.Hold) keeps something back.
"""

import base64
from collections.abc import Callable, Iterable, Sequence

import msgspec

from limpet.links.log import Exchange
from limpet.links.switches import Names

SUBSCRIBES = frozenset(
    name for kind in (b"", b"P", b"S") for name in (kind + b"SUBSCRIBE", kind + b"UNSUBSCRIBE")
)  # each has as many confirmations as channels, and no reply
PASSING = SUBSCRIBES | frozenset(
    b"PUBLISH SPUBLISH BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF".split()
)


class Arrived(msgspec.Struct, tag="arrived", frozen=True):
    """A command stands at the gate. `ticket` numbers those of one pod; `words` as in resp.Frame."""

    pod: str
    ticket: int
    words: list[bytes]


class Answered(msgspec.Struct, tag="answered", frozen=True):
    """What became of a command that was let through.

    Of a transaction one comes for each queued command, and with `last` one for its EXEC.
    """

    pod: str
    ticket: int
    exchange: Exchange
    last: bool


class Left(msgspec.Struct, tag="left", frozen=True):
    """The connection of a command that stood at the gate is gone."""

    pod: str
    ticket: int


class Kept(msgspec.Struct, tag="kept", frozen=True):
    """A hold keeps a command back: the first one since it was set."""

    pod: str
    words: list[bytes]


Event = Arrived | Answered | Left | Kept
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> str:
    """As text for a line of JSON; words and replies are any bytes."""
    return base64.b64encode(_encoder.encode(event)).decode()


def decode(text: str) -> Event:
    """From that text."""
    return _decoder.decode(base64.b64decode(text))


class Gate:
    """The gate of one link. Open at first: nothing stands at it."""

    def __init__(self, pod: str, tell: Callable[[Event], None]) -> None:
        self._pod = pod
        self._tell = tell
        self._names: Names | None = None
        self._count = 0
        self._standing: dict[int, Callable[[], None]] = {}

    def set(self, names: Iterable[str] | None) -> None:
        """Stop what names one of these from now on; None: open it, and forget who stood there."""
        self._names = None if names is None else Names(names)
        if names is None:
            self._standing.clear()

    def stops(self, words: Sequence[bytes], queued: Iterable[Sequence[bytes]] | None) -> bool:
        """Whether this command has to stand here; `queued` is what its connection has queued since MULTI."""
        if self._names is None:
            return False
        name = words[0].upper()
        if queued is not None:
            return name == b"EXEC" and any(self._names.named_by(one) for one in queued)
        blocks = name in (b"XREAD", b"XREADGROUP") and any(word.upper() == b"BLOCK" for word in words)
        return name not in PASSING and not blocks and self._names.named_by(words)

    def kept(self, words: Sequence[bytes]) -> None:
        """A hold keeps a command back."""
        self._tell(Kept(self._pod, list(words)))

    def arrive(self, words: list[bytes], let_through: Callable[[], None]) -> int:
        """A command has come to stand here; its ticket."""
        self._count += 1
        self._standing[self._count] = let_through
        self._tell(Arrived(self._pod, self._count, words))
        return self._count

    def admit(self, ticket: int) -> None:
        """Let one through. One that has left meanwhile was told of."""
        let_through = self._standing.pop(ticket, None)
        if let_through:
            let_through()

    def leave(self, ticket: int) -> None:
        """The connection of one that stood here has ended."""
        if self._standing.pop(ticket, None):
            self._tell(Left(self._pod, ticket))

    def answered(self, ticket: int, exchange: Exchange, *, last: bool) -> None:
        """What became of one that was let through."""
        self._tell(Answered(self._pod, ticket, exchange, last))
