"""What a source is: whatever observes a cluster, or pretends to, on behalf of one gadget."""

from collections.abc import Callable
from typing import Protocol

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


class SourceKind(Protocol):
    """Makes sources of one kind."""

    def __call__(self, session: Session) -> Source:
        """A source for this session, not yet running."""
        ...
