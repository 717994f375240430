"""What a Redis link looks out for, over all its connections: commands to keep back, to cut off, to write down."""

from collections.abc import Callable, Sequence

from limpet.links import gate, switches
from limpet.links.log import Exchange, Log, Lost
from limpet.links.switches import CutAfterCommand, Hold, Names


class Watch:
    """Asked about every command that passes. `cut_done` is called when what was to be cut was cut.

    Attributes:
        log: where exchanges are written down; None: nowhere.
        gate: where commands stand until they are let through.
    """

    def __init__(self, cut_done: Callable[[], None], gate: gate.Gate) -> None:
        self.log: Log | None = None
        self.gate = gate
        self._cut_done = cut_done
        self._held: Names | None = None
        self._cut: Names | None = None
        self._pass_first = 0  # of those that fit, so many pass before they are held
        self._kept = False  # it has kept one back, and said so

    def set(self, switch: Hold | CutAfterCommand | switches.Gate | None) -> None:
        """Look out for what this switch names from now on, and for nothing else."""
        self.gate.set(switch.names if isinstance(switch, switches.Gate) else None)
        self._held = Names(switch.names) if isinstance(switch, Hold) else None
        self._cut = Names(switch.names) if isinstance(switch, CutAfterCommand) else None
        self._pass_first = switch.nth - 1 if isinstance(switch, Hold) else 0
        self._kept = False

    def holds(self, words: Sequence[bytes]) -> bool:
        """Whether this command, which has just come, is kept back. Counts it if not."""
        if self._held is None or not self._held.named_by(words):
            return False
        if self._pass_first > 0:
            self._pass_first -= 1
            return False
        if not self._kept:
            self._kept = True
            self.gate.kept(words)
        return True

    def cuts(self, words: Sequence[bytes]) -> bool:
        """Whether this command, which is just sent on, is cut off from its reply: true for one command."""
        if self._cut is None or not self._cut.named_by(words):
            return False
        self._cut = None
        return True

    def was_cut(self) -> None:
        """The reply came, and the connection is being reset."""
        self._cut_done()

    def write(self, record: Exchange | Lost) -> None:
        """Write it down, if anybody wants it."""
        if self.log is not None:
            self.log.write(record)
