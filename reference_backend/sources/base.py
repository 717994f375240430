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
        open: makes a source for a session, not yet running.
        gadgets: what it can run, by type, with the parameters that it heeds.
        has_pods: whether it can be pointed at one pod or container.
    """

    open: Callable[[Session], Source]
    gadgets: Mapping[str, Gadget]
    has_pods: bool = True
