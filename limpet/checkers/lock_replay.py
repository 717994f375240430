"""One session's lock and fence while a Redis trace is replayed: acquisitions, renewals, releases, expiries.

A command acts for a token when it, its script or its transaction names one of this lock; else it acts for its pod.
Nothing is said against anybody that is not certain (cell.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limpet.checkers.cell import Cell
from limpet.checkers.redis_commands import Command, Write

UNKNOWN = "?"
End = Literal["open", "released", "foreign", "taken", "expired"]
WHAT = {"drop": "released", "expire": "prolonged", "persist": "prolonged"}


@dataclass(slots=True, eq=False)
class Hold:
    """One acquisition of the lock of `session`.

    Attributes:
        no: the line that shows it.
        at_us: when, by the server's clock.
        unit: what it was acquired in.
        certain: it was certainly granted.
        answered: the pod was certainly told.
        until_us: when it expires, as it was last set; None: never.
        ttl_ms: how long it was to live when the unit that acquired it was over; None: for ever.
        fence: the fence that came with it; "" if none did, `?` if it is not known.
        fence_no: the line that handed it out.
        end: how it ended: `foreign`: another removed it; `taken`: another overwrote it.
        end_no: the line that shows this; 0 for an expiry.
        contended: another pod wanted it meanwhile.
        used: its pod changed the session under it.
        overtaken_no: the line of the next acquisition, by another pod, after this one had expired; 0: there was none.
        returned: the pod went on in this matter after that.
        met: it did so while another pod held the lock.
    """

    no: int
    session: str
    pod: str
    token: str
    at_us: int
    unit: int
    certain: bool = False
    answered: bool = False
    until_us: float | None = None
    ttl_ms: float | None = None
    fence: str = ""
    fence_no: int = 0
    end: End = "open"
    end_no: int = 0
    contended: bool = False
    used: bool = False
    overtaken_no: int = 0
    returned: bool = False
    met: bool = False


@dataclass(frozen=True, slots=True)
class Intrusion:
    """A command on a lock that was somebody else's: it `released`, `overwrote` or `prolonged` it."""

    no: int
    pod: str
    what: str
    hold: Hold


class LockReplay:
    """One session's.

    Attributes:
        holds: in their order.
        intrusions: in their order.
        permanent: (line, hold) where a lock was made to live for ever.
        puzzles: (line, what) that cannot be by all that was seen before.
    """

    def __init__(self, session: str, *, unlocked: bool) -> None:
        """`unlocked`: nobody held it at first; else that is not known."""
        self.holds: list[Hold] = []
        self.intrusions: list[Intrusion] = []
        self.permanent: list[tuple[int, Hold]] = []
        self.puzzles: list[tuple[int, str]] = []
        self._session = session
        self._somebody = Hold(0, session, UNKNOWN, UNKNOWN, 0, -1)
        self._lock: Cell[Hold] = Cell(self._somebody, empty=unlocked)
        self._fence: Cell[str] = Cell(UNKNOWN, empty=unlocked)
        self._early = (-1, "", 0)  # a fence that was taken before the lock: its unit, itself and its line

    def rightful(self, command: Command, named: Sequence[Hold]) -> bool:
        """Whether the command may act as the holder of this lock. `named`: the holds whose tokens its unit names."""
        values = self._lock.values(command.at_us)
        return any(hold is not None and self._acts_for(command, hold, named) for hold in values)

    def acting(self, command: Command, named: Sequence[Hold]) -> Hold | None:
        """The acquisition that the command is made under, whether or not it still stands: by its token, else its pod.

        A pod that has released its last one acts under none.
        """
        here = [hold for hold in named if hold.session == self._session]
        if here:
            return max(here, key=lambda hold: hold.no)
        last = next((hold for hold in reversed(self.holds) if hold.pod == command.pod), None)
        return None if last is None or last.end == "released" else last

    def after(self, hold: Hold) -> Hold | None:
        """The first that certainly acquired the lock after this hold."""
        return next((one for one in self.holds if one.no > hold.no and one.certain), None)

    def on_lock(self, command: Command, effect: Write, named: Sequence[Hold]) -> None:
        """A command that writes the lock's key."""
        if effect.kind == "set":
            self._acquire(command, effect, named)
            return
        applied = self._lock.apply(effect, command.at_us, lambda _: self._somebody)
        if applied.impossible:
            self.puzzles.append((command.no, f"{command.name} of {command.pod} answers {command.reply!r}"))
        held = [hold for hold in applied.before if hold is not None]
        certain = applied.done is True and len(held) == len(applied.before)
        foreign = certain and not any(self._acts_for(command, hold, named) for hold in held)
        for hold in held if effect.kind in WHAT else ():
            if foreign:
                self.intrusions.append(Intrusion(command.no, command.pod, WHAT[effect.kind], hold))
            if effect.kind == "drop" or (effect.ttl_ms is not None and effect.ttl_ms <= 0):
                hold.end, hold.end_no = "foreign" if foreign else "released", command.no
            elif not effect.keeps_ttl:
                self._live(hold, effect, command)

    def on_fence(self, command: Command, effect: Write, named: Sequence[Hold]) -> None:
        """A command that writes the fence's key."""
        applied = self._fence.apply(effect, command.at_us, lambda old: _number(old, effect))
        if effect.kind not in ("set", "count") or applied.done is False:
            return
        values = {_number(old, effect) for old in applied.before}
        value = values.pop() if len(values) == 1 and applied.done else UNKNOWN
        last = self.holds[-1] if self.holds else None
        if last and not last.fence and (last.unit == command.unit or self._acts_for(command, last, named)):
            last.fence, last.fence_no = value, command.no
        else:
            self._early = command.unit, value, command.no

    def wanted_by(self, command: Command) -> None:
        """A command of who would take the lock if it were free."""
        values = self._lock.values(command.at_us)
        for hold in values if None not in values else ():
            if hold is not None and hold.pod != command.pod:
                hold.contended = True

    def heard_of(self, command: Command) -> None:
        """A command that names a key of the session, in a unit that does not try to acquire the lock."""
        for hold in self.holds:
            if hold.overtaken_no and hold.pod == command.pod:
                hold.returned = True
                hold.met = hold.met or all(
                    one is not None and one.pod != hold.pod for one in self._lock.values(command.at_us)
                )

    def finish(self, at_us: int) -> None:
        """The trace ends."""
        for hold in self.holds:
            if hold.end == "open" and hold.until_us is not None and hold.until_us < at_us:
                hold.end = "expired"

    def _acquire(self, command: Command, effect: Write, named: Sequence[Hold]) -> None:
        new = Hold(command.no, self._session, command.pod, effect.value, command.at_us, command.unit)

        def prolongs(old: Hold) -> bool:  # another pod would have to say that it wants no more than that
            return old.token == effect.value and (old.pod == command.pod or effect.only_if in ("present", "equal"))

        applied = self._lock.apply(effect, command.at_us, lambda old: old if old is not None and prolongs(old) else new)
        if applied.impossible:
            self.puzzles.append((command.no, f"{command.name} of {command.pod} answers {command.reply!r}"))
        for hold in applied.kept:
            if hold is not None and hold.pod != command.pod:
                hold.contended = True
        before = [hold for hold in applied.before if hold is not None]
        if applied.done is False or (before and all(prolongs(hold) for hold in before)):
            for hold in before:  # the holder says it again
                self._live(hold, effect, command)
            return
        new.certain = applied.done is True
        new.answered = command.delivered
        self._live(new, effect, command)
        self._end_by(new, command, before, named, certain=new.certain and len(before) == len(applied.before))
        if new.certain:
            self._expire_others(new)
        if self._early[0] == command.unit:
            _, new.fence, new.fence_no = self._early
        self.holds.append(new)

    def _end_by(
        self, new: Hold, command: Command, before: Sequence[Hold], named: Sequence[Hold], *, certain: bool
    ) -> None:
        """End the holds of which one was there, certainly or perhaps; its own unit may change the token."""
        for hold in before:
            rotates = hold in named and hold.token != new.token
            if certain and not rotates and hold is not self._somebody:
                self.intrusions.append(Intrusion(command.no, command.pod, "overwrote", hold))
            hold.end, hold.end_no = "released" if rotates else "taken", command.no

    def _expire_others(self, new: Hold) -> None:
        for hold in self.holds:
            if hold.end == "open":
                hold.end = "expired"
                if hold.certain and hold.pod != new.pod:
                    hold.overtaken_no = new.no
            elif hold.pod == new.pod and not hold.returned:
                hold.overtaken_no = 0  # what comes of this pod now belongs to its new acquisition

    def _acts_for(self, command: Command, hold: Hold, named: Sequence[Hold]) -> bool:
        here = [one for one in named if one.session == self._session]
        return hold is self._somebody or (hold in here if here else hold.pod == command.pod)

    def _live(self, hold: Hold, effect: Write, command: Command) -> None:
        """Note how long a lock lives from now on."""
        hold.until_us = None if effect.ttl_ms is None else command.at_us + effect.ttl_ms * 1000
        if hold.unit == command.unit:
            hold.ttl_ms = effect.ttl_ms
        elif effect.ttl_ms is None:
            self.permanent.append((command.no, hold))


def _number(old: str | None, effect: Write) -> str:
    if effect.kind == "set":
        return effect.value
    try:
        return str(int(old or "0") + int(effect.value))
    except ValueError:
        return UNKNOWN


def who(hold: Hold) -> str:
    """A holder as findings name it."""
    return f"{hold.pod} (token {hold.token:.8})"
