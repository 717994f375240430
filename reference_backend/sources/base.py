"""What a source is: whatever observes a cluster, or pretends to, on behalf of one gadget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from reference_backend.catalogue import Gadget
from reference_backend.session import Session

Emit = Callable[[bytes], None]
"""Takes one event's `data`, as JSON."""


class SourceError(Exception):
    """The source broke; the message becomes the session's reason."""


class Source(Protocol):
    """One running observation."""

    @property
    def position(self) -> int | None:
        """Where another replica could go on so that nothing is lost or repeated; None if none could."""
        ...

    async def run(self, emit: Emit) -> None:
        """Observe until cancelled; return when it came to its end by itself.

        Raises:
            SourceError: it broke.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of source.

    Attributes:
        open: makes a source for a session, not yet running; it goes on after a position, 0 at the very beginning.
        gadgets: what it can run, by type, with the parameters that it heeds.
        has_pods: whether it can be pointed at one pod or container.
        position_now: the position at this moment of a session that nobody observed for a while, given the last message
            of its stream.
    """

    open: Callable[[Session, int], Source]
    gadgets: Mapping[str, Gadget]
    has_pods: bool = True
    position_now: Callable[[Session, bytes], int] = lambda _session, _last: 0
