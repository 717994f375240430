"""Who owned which session when, and what was appended under which epoch: a replay of the Redis trace.

A session's owner is the replica into whose owned set it was put last. Whatever one script or transaction does happens
at once. An append *came late* if the connection that it came by had appended before the epoch was raised: that is what
a former owner sends that does not know.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from limpet.checkers.redis_commands import READS, Command, smaller, write
from limpet.contract import Redis

ALONE = frozenset(("NOMKSTREAM", "KEEPREF", "DELREF", "ACKED"))  # options of XADD without a value


@dataclass(frozen=True, slots=True)
class Passing:
    """A session got another owner. `former` is "" where nobody owned it any more; `raised`: its epoch grew with it."""

    no: int
    session: str
    former: str
    owner: str
    raised: bool


@dataclass(frozen=True, slots=True)
class Append:
    """An entry was added to a session's stream.

    Attributes:
        seq: its number, None where the server chose its id.
        epoch: under which it says it was appended, "" where it does not say.
        current: the epoch by then, "" where none is known.
    """

    no: int
    session: str
    pod: str
    seq: int | None
    epoch: str
    current: str

    @property
    def stale(self) -> bool:
        """Whether its epoch is an old one."""
        return bool(self.epoch and self.current) and smaller(self.epoch, self.current)


@dataclass(slots=True)
class Tale:
    """What the trace tells, each in its order. `late`: (line, session) of what came late, done or not."""

    passings: list[Passing] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)
    late: list[tuple[int, str]] = field(default_factory=list)


def tell(commands: Iterable[Command], keys: Redis) -> Tale:
    """Go through the trace."""
    teller = _Teller(keys)
    for _, unit in groupby(commands, key=lambda command: command.unit):
        teller.take(list(unit))
    return teller.tale


class _Teller:
    def __init__(self, keys: Redis) -> None:
        self._owned = _expression(keys.owned)
        self._epoch = _expression(keys.epoch)
        self._events = _expression(keys.events)
        self._field = keys.epoch_field
        self._owner: dict[str, str] = {}
        self._epochs: dict[str, str] = {}
        self._appended: dict[str, dict[str, str]] = defaultdict(dict)  # connection -> session -> epoch by then
        self.tale = Tale()

    def take(self, unit: Sequence[Command]) -> None:
        """What was carried out as one."""
        head = unit[0]
        if head.failed:
            return
        raised = dict(self._raised(unit))
        self._pass_on(unit, raised)
        self._come_late(head, unit, raised)
        for command in unit:
            if command.name == "XADD" and not command.failed:
                self._append(command, head)

    def _raised(self, unit: Sequence[Command]) -> Iterator[tuple[str, bool]]:
        """The sessions whose epoch is set here, and whether it grew."""
        for command in unit:
            session = _id(self._epoch, command.args)
            effect = write(command, command.args[0]) if session else None
            if session and effect and effect.kind == "set" and effect.done is not False:
                last = self._epochs.get(session)
                yield session, last is None or smaller(last, effect.value)
                self._epochs[session] = effect.value

    def _pass_on(self, unit: Sequence[Command], raised: dict[str, bool]) -> None:
        """Who gets sessions and who loses them."""
        got = {session for command in unit if command.name == "SADD" for session in command.args[1:]}
        for command in unit:
            instance = _id(self._owned, command.args)
            if not instance or command.name not in ("SADD", "SREM"):
                continue
            for session in command.args[1:]:
                former = self._owner.get(session)
                if command.name == "SREM":
                    if former == instance and session not in got:
                        self._owner[session] = ""
                    continue
                self._owner[session] = instance
                if former not in (None, instance):
                    grew = raised.get(session, False)
                    self.tale.passings.append(Passing(command.no, session, former or "", instance, grew))

    def _come_late(self, head: Command, unit: Sequence[Command], raised: Collection[str]) -> None:
        """What a connection asks of a stream to which it had appended under an older epoch, and not under the new."""
        if READS.fullmatch(head.name):
            return
        before = self._appended.get(head.source, {})
        named = {session for command in unit for session in _ids(self._events, command.args)}
        knows = {
            _id(self._events, command.args)
            for command in unit
            if command.name == "XADD" and self._epoch_of(command) == self._epochs.get(_id(self._events, command.args))
        }
        for session in sorted((named & before.keys()) - knows - set(raised)):
            if smaller(before[session], self._epochs.get(session, "")):
                self.tale.late.append((head.no, session))

    def _append(self, command: Command, head: Command) -> None:
        session = _id(self._events, command.args)
        if not session:
            return
        current = self._epochs.get(session, "")
        id_, _ = _entry(command.args)
        epoch = self._epoch_of(command)
        seq = int(id_.partition("-")[0]) if id_.partition("-")[0].isdecimal() else None
        self.tale.appends.append(Append(command.no, session, head.pod, seq, epoch, current))
        if epoch == current:
            self._appended[head.source][session] = current

    def _epoch_of(self, command: Command) -> str:
        """Under which epoch an entry says it is appended, "" where it does not say."""
        return _entry(command.args)[1].get(self._field, "") if self._field else ""


def _entry(args: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The id and the fields that XADD gives an entry."""
    at = 1
    while at < len(args):
        word = args[at].upper()
        if word in ALONE:
            at += 1
        elif word in ("MAXLEN", "MINID"):
            at += 3 if tuple(args[at + 1 : at + 2]) in (("~",), ("=",)) else 2
        elif word == "LIMIT":
            at += 2
        else:
            break
    rest = list(args[at + 1 :])
    return (args[at] if at < len(args) else ""), dict(zip(rest[::2], rest[1::2], strict=False))


def _expression(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(pattern))) if pattern else None


def _id(expression: re.Pattern[str] | None, args: Sequence[str]) -> str:
    """What stands in the place of the id in the first argument, "" where that is another key."""
    found = expression.fullmatch(args[0]) if expression and args else None
    return found[1] if found else ""


def _ids(expression: re.Pattern[str] | None, args: Sequence[str]) -> Iterator[str]:
    """The same of all arguments."""
    return (found[1] for arg in args if expression and (found := expression.fullmatch(arg)))
