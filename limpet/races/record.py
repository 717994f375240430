"""The record of one schedule: its lines on their way into the history, and the Redis commands in the server's order.

The turns know each command with its reply; MONITOR knows what scripts called, and the moments by the server's clock.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from limpet.checkers.interleavings import EXPIRY
from limpet.clients.monitor import LUA, parse
from limpet.clients.redis_join import Joined, carried_out, join
from limpet.clients.redis_trace import text
from limpet.history import History, Line
from limpet.links.log import NONE, Exchange
from limpet.races.turns import Move, Turns

CALLED, CALLED_WITHIN = b" lua]", 50
TRANSACTION = (b'"MULTI"', b'"EXEC"', b'"DISCARD"', b'"multi"', b'"exec"', b'"discard"')


class Excerpt(History):
    """A part of a history that is put together aside, since what belongs together does not happen together.

    Attributes:
        lines: what was written to it and not taken yet.
    """

    def __init__(self, whole: History) -> None:
        self.lines: list[Line] = []
        self._whole = whole

    def write(self, line: Line) -> None:
        """Append one line."""
        self.lines.append(line)

    def process(self) -> int:
        """A process number that nobody had yet."""
        return self._whole.process()

    def take(self) -> list[Line]:
        """All lines; from now on it has none."""
        lines, self.lines = self.lines, []
        return lines


def turn_lines(turns: Turns, lines: Sequence[bytes], keys: Sequence[str]) -> tuple[list[Line], str]:
    """The lines `turn` of a schedule, from what MONITOR has shown since it began; and why they are not all, or "".

    Of what scripts called, those that name one of `keys`.
    """
    move_of = {id(one): move for move in turns.moves for one in _exchanges(turns, move)}
    records = [one for move in turns.moves for one in _exchanges(turns, move)]
    joined, counts = join(parse([*_about(keys, lines)]), records, from_ns=0, until_ns=0)
    found = [*_lines(turns, joined, move_of)]
    due = sum(one.outcome != NONE and carried_out(one) for one in records)
    matched = sum(line.exchange is not None and line.exchange.outcome != NONE for line in joined)
    lost = "; ".join(counts.lost)
    if matched < due:
        lost = lost or f"{due - matched} commands that were let through are not among MONITOR's"
    unanswered = sum(one.outcome == NONE for one in records)
    return found, lost or (f"{unanswered} commands were not answered" if unanswered else "")


def _about(keys: Sequence[str], lines: Sequence[bytes]) -> Iterator[bytes]:
    """Those lines of MONITOR that can be about these keys; reading one costs more than looking for a key in it."""
    names = re.compile(b"|".join(re.escape(key.encode()) for key in keys)).search
    theirs = False  # whether what is called next is called by a script that is about one
    for line in lines:
        named = names(line) is not None
        if CALLED in line[:CALLED_WITHIN]:
            if theirs and named:
                yield line
        else:
            theirs = named
            if named or line.rstrip().endswith(TRANSACTION):
                yield line


def _exchanges(turns: Turns, move: Move) -> list[Exchange]:
    return turns.exchanges.get((move.pod, move.ticket), [])


def _lines(turns: Turns, joined: Sequence[Joined], move_of: dict[int, Move]) -> Iterator[Line]:
    moves: dict[int, tuple[Move, int]] = {}  # order of a command -> its move, and when it was sent
    expiries = iter([move for move in turns.moves if not move.pod])
    t = 0
    for one in joined:
        seen, exchange = one.seen, one.exchange
        if seen.words == [b"PEXPIRE", turns.lock.encode(), b"1"] and not one.pod:
            move = next(expiries)
            yield Line(t, "turn", EXPIRY, data={"step": move.step, "left_ms": move.left_ms, "at_us": seen.at_us})
            continue
        if exchange is not None and id(exchange) in move_of:
            moves[seen.order] = move_of[id(exchange)], exchange.sent_ns
        elif one.script not in moves:
            continue
        move, t = moves[seen.order if exchange is not None else one.script]
        yield Line(t, "turn", seen.name, pod=one.pod, data=_data(one, move))


def _data(one: Joined, move: Move) -> dict[str, Any]:
    """As a line `redis` has it (clients/redis_trace.py), with the step, the lane and the call."""
    seen, exchange = one.seen, one.exchange
    data: dict[str, Any] = {"step": move.step, "lane": move.lane, "call": move.call}
    data |= {"args": [text(word) for word in seen.words[1:]], "order": seen.order, "unit": one.unit}
    data |= {"at_us": seen.at_us, "from": seen.address}
    if exchange is None:
        return data | {"outcome": "called" if seen.address == LUA else "unknown", "script": one.script}
    data |= {"outcome": exchange.outcome, "reply": _plain(exchange.reply)}
    return data | ({"multi": True} if exchange.queued else {})


def _plain(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return text(reply)
    return [_plain(one) for one in reply] if isinstance(reply, list) else reply
