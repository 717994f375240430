"""When what passes a link is due on the other side."""

from collections.abc import Iterator
from random import Random
from typing import Protocol

from limpet.links.switches import Delay, Throttle

PIECE_S = 0.05  # what a throttled link takes to let one piece through


class Pace(Protocol):
    """One direction of one connection."""

    def pieces(self, data: bytes, now_s: float, last_s: float) -> Iterator[tuple[float, bytes]]:
        """The moments at which the parts of `data` are due, never before `last_s`, when the last one was."""
        ...


class Delayed:
    """Everything some time later."""

    def __init__(self, switch: Delay, random: Random) -> None:
        self._switch = switch
        self._random = random

    def pieces(self, data: bytes, now_s: float, last_s: float) -> Iterator[tuple[float, bytes]]:
        """All in one piece."""
        jitter_s = self._switch.jitter_s
        late_s = self._switch.delay_s + (self._random.uniform(-jitter_s, jitter_s) if jitter_s else 0.0)
        yield max(last_s, now_s + max(0.0, late_s)), data


class Throttled:
    """So many bytes a second."""

    def __init__(self, switch: Throttle) -> None:
        self._rate = switch.bytes_per_s
        self._piece = max(1, int(switch.bytes_per_s * PIECE_S))

    def pieces(self, data: bytes, now_s: float, last_s: float) -> Iterator[tuple[float, bytes]]:
        """Small pieces, each when the time that its bytes take is over."""
        at_s = max(now_s, last_s)
        for start in range(0, len(data), self._piece):
            piece = data[start : start + self._piece]
            at_s += len(piece) / self._rate
            yield at_s, piece
        if not data:
            yield at_s, data
