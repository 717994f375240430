"""Where a watcher begins: what it asked for against what is kept. A pure function, because every case matters."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is of a session's stream.

    Attributes:
        stream: the stream's id.
        first: `seq` of the oldest message kept; `last` + 1 if none is.
        last: `seq` of the newest message ever appended; 0 if none was.
        ended: whether the newest one is the end.
    """

    stream: str
    first: int
    last: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a watcher is told first.

    Attributes:
        seq: the position it is told to stand at; what it gets first is the next one, or a gap that begins there.
        recovered: whether it gets everything that it asked for.
        gap: first and last `seq` of what is not kept, if anything is missing.
    """

    seq: int
    recovered: bool
    gap: tuple[int, int] | None = None

    @property
    def read_after(self) -> int:
        """The `seq` after which messages are to be sent."""
        return self.gap[1] if self.gap else self.seq


def begin(kept: Kept, stream: str | None, after: int | None) -> Beginning:
    """Where a watcher begins that has everything of `stream` up to `after`, or that wants what comes from now on.

    A `stream` that is not given is taken for the present one. The end of an ended stream always counts as still to
    come.
    """
    if after is None:
        return Beginning(kept.last - 1 if kept.ended else kept.last, recovered=True)
    same = stream in (None, kept.stream) and after <= kept.last
    if same and after + 1 >= kept.first:
        return Beginning(after, recovered=True)
    position = after if same else 0
    gap = (position + 1, kept.first - 1) if kept.first > position + 1 else None
    return Beginning(position, recovered=False, gap=gap)
