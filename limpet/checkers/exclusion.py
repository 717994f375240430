"""Who held which lock when, who released it, and who changed a session under it: a replay of the Redis trace."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from limpet.checkers.cell import Cell
from limpet.checkers.lock_replay import UNKNOWN, Hold, Intrusion, LockReplay
from limpet.checkers.redis_commands import Command, Write, reads, write
from limpet.contract import Redis

LIFETIME = ("expire", "persist")
TOKEN_LENGTH_MIN = 8  # a shorter one may be named by chance


@dataclass(frozen=True, slots=True)
class Change:
    """A session's record got another value, or went.

    Attributes:
        no: the line.
        rightful: by a holder of its lock, as far as can be told.
        acting: the acquisition that it was made under, as its token or its pod tells.
        later: the first certain one after that; None if there was none.
        first: nobody could know of the session before.
        compared: the unit had looked at the session, or watched it: it cannot have overwritten what it did not know.
    """

    no: int
    session: str
    pod: str
    rightful: bool
    acting: Hold | None
    later: Hold | None
    first: bool
    compared: bool


@dataclass(frozen=True, slots=True)
class Story:
    """What the trace tells.

    Attributes:
        holds: all acquisitions, in their order.
        changes: of the records, in their order.
        permanent: (line, hold) where a lock was made to live for ever.
        puzzles: (line, what) that this replay does not understand.
    """

    holds: list[Hold]
    intrusions: list[Intrusion]
    changes: list[Change]
    permanent: list[tuple[int, Hold]]
    puzzles: list[tuple[int, str]]


@dataclass(slots=True)
class _Unit:
    """What a script, a transaction or a single command has named and read so far."""

    named: list[Hold] = field(default_factory=list)  # by their tokens
    looked_at: set[str] = field(default_factory=set)  # sessions of which it has read more than the lock


class _Session:
    def __init__(self, session: str, *, fresh: bool, unlocked: bool) -> None:
        self.lock = LockReplay(session, unlocked=fresh or unlocked)
        self.record: Cell[str] = Cell(UNKNOWN, empty=fresh)
        self.known = not fresh


def replay(commands: Sequence[Command], keys: Redis, *, fresh: bool, unlocked: bool = False) -> Story:
    """Go through the trace. `fresh`: nothing was in Redis when it began; `unlocked`: at least no lock was."""
    teller = _Teller(keys, fresh=fresh, unlocked=unlocked)
    for command in commands:
        teller.prepare(command)
    at_us = 0
    for command in commands:
        teller.take(command)
        at_us = command.at_us
    return teller.finish(at_us)


class _Teller:
    def __init__(self, keys: Redis, *, fresh: bool, unlocked: bool) -> None:
        self._patterns = {
            kind: re.compile(re.escape(pattern).replace(re.escape("{id}"), "(?P<id>.+)"))
            for kind, pattern in (("lock", keys.lock), ("fence", keys.fence), ("record", keys.session))
            if pattern
        }
        self._fresh = fresh
        self._unlocked = unlocked
        self._tries: set[int] = set()  # units that want to acquire a lock
        self._sessions: dict[str, _Session] = {}
        self._by_token: dict[str, Hold] = {}
        self._units: dict[int, _Unit] = defaultdict(_Unit)
        self._watched: dict[str, set[str]] = defaultdict(set)  # source -> keys
        self._changes: list[Change] = []
        self._puzzles: list[tuple[int, str]] = []

    def prepare(self, command: Command) -> None:
        """Every command once, before it is taken: what a unit is for shows only at its end."""
        lock = self._patterns.get("lock")
        for arg in command.args[:1]:
            effect = write(command, arg) if lock and lock.fullmatch(arg) else None
            if effect and effect.kind == "set":
                self._tries.add(command.unit)

    def take(self, command: Command) -> None:
        """The next command."""
        unit = self._units[command.unit]
        unit.named += [self._by_token[arg] for arg in command.args if arg in self._by_token]
        for arg in dict.fromkeys(command.args):
            for kind, pattern in self._patterns.items():
                match = pattern.fullmatch(arg)
                if match:
                    self._take_key(command, unit, kind, arg, match["id"])
        if command.name == "WATCH":
            self._watched[command.source].update(command.args)
        elif command.name in ("EXEC", "DISCARD", "UNWATCH"):
            self._watched.pop(command.source, None)

    def finish(self, at_us: int) -> Story:
        """The trace is over."""
        locks = [session.lock for session in self._sessions.values()]
        for lock in locks:
            lock.finish(at_us)
        return Story(
            sorted((hold for lock in locks for hold in lock.holds), key=lambda hold: hold.no),
            sorted((one for lock in locks for one in lock.intrusions), key=lambda one: one.no),
            self._changes,
            sorted((one for lock in locks for one in lock.permanent), key=lambda one: one[0]),
            sorted([*self._puzzles, *(one for lock in locks for one in lock.puzzles)]),
        )

    def _take_key(self, command: Command, unit: _Unit, kind: str, key: str, session: str) -> None:
        about = self._about(session)
        effect = write(command, key)
        if command.unit not in self._tries:
            about.lock.heard_of(command)
        if kind != "lock" and reads(command, key):
            unit.looked_at.add(session)
        if kind == "lock" and command.name == "WATCH":
            about.lock.wanted_by(command)
        if effect is None:
            return
        if effect.kind == "other" and kind != "record":
            self._puzzles.append((command.no, f"{command.name} on {key}"))
        if kind == "lock":
            about.lock.on_lock(command, effect, unit.named)
            for hold in about.lock.holds[-1:]:
                if len(hold.token) >= TOKEN_LENGTH_MIN:
                    self._by_token[hold.token] = hold
        elif kind == "fence":
            about.lock.on_fence(command, effect, unit.named)
        else:
            self._record(command, unit, effect, key, session)

    def _about(self, session: str) -> _Session:
        if session not in self._sessions:
            self._sessions[session] = _Session(session, fresh=self._fresh, unlocked=self._unlocked)
        return self._sessions[session]

    def _record(self, command: Command, unit: _Unit, effect: Write, key: str, session: str) -> None:
        about = self._sessions[session]
        applied = about.record.apply(effect, command.at_us, lambda _: effect.value)
        changed = applied.done is True and (
            effect.kind in ("other", "drop") or all(value not in (effect.value, UNKNOWN) for value in applied.before)
        )
        first, about.known = not about.known, True
        if not changed or effect.kind in LIFETIME:
            return
        acting = about.lock.acting(command, unit.named)
        rightful = about.lock.rightful(command, unit.named)
        if acting and rightful:
            acting.used = True
        self._changes.append(
            Change(
                no=command.no,
                session=session,
                pod=command.pod,
                rightful=rightful,
                acting=acting,
                later=about.lock.after(acting) if acting else None,
                first=first,
                compared=session in unit.looked_at or key in self._watched[command.source],
            )
        )
