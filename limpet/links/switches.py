"""What a link can be set to. Each switch says what becomes of a connection, those there are and those that come.

`pass`: it is relayed. `cut`: it is reset. `blackhole`: it stays and nothing moves, either way; new ones are accepted
and stay as silent. What was kept back is delivered when the link passes again.
"""

from typing import Literal, Protocol

from limpet.links.connection import Connection

Switch = Literal["pass", "cut", "blackhole"]


class Treatment(Protocol):
    """What a switch does."""

    def __call__(self, connection: Connection, upstream: tuple[str, int], source: str) -> None:
        """Treat a connection that has just come, or that there is when the switch is set."""


def pass_(connection: Connection, upstream: tuple[str, int], source: str) -> None:
    """Relay it."""
    connection.reach(*upstream, source)
    connection.stall(stalled=False)


def cut(connection: Connection, upstream: tuple[str, int], source: str) -> None:  # noqa: ARG001 - as a Treatment
    """Reset it."""
    connection.end(reset=True)


def blackhole(connection: Connection, upstream: tuple[str, int], source: str) -> None:  # noqa: ARG001 - as a Treatment
    """Keep it, and let nothing through."""
    connection.stall(stalled=True)


TREATMENTS: dict[Switch, Treatment] = {"pass": pass_, "cut": cut, "blackhole": blackhole}
