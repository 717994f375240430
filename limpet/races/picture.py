"""A schedule as a picture in text: time runs downwards, one column for each replica that was called, one for Redis.

Drawn from the lines of the history, so that a stored schedule looks the same.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limpet.checkers.interleavings import EXPIRY
from limpet.contract import Contract
from limpet.history import COMPLETIONS, Line

WIDTH = 118
STEP_WIDTH, REDIS_WIDTH = 6, 12
MARK = ">"  # before what shows the violation
REPLY_MAX = 60
WORD_MAX = 28
DIGEST = re.compile("[0-9a-f]{40}")
SCRIPT = "called"


@dataclass(slots=True)
class _Row:
    """What stands side by side: a step, a column, and the paragraphs in it."""

    step: str
    column: str
    texts: list[str] = field(default_factory=list)
    marked: bool = False
    answers: bool = False


def draw(lines: Sequence[Line], contract: Contract, shows: Sequence[int] = (), *, width: int = WIDTH) -> str:
    """The picture of a schedule's lines; those whose numbers (from 1) are in `shows` are marked.

    What comes behind the last of these is left out, but for the answers.
    """
    begin = lines[0]
    calls: list[list[str]] = begin.data.get("calls", [])
    pods: dict[str, str] = begin.data.get("pods", {})
    lanes = sorted({lane for lane, _ in calls})
    lane_width = (width - STEP_WIDTH - REDIS_WIDTH - 2 * (len(lanes) + 1)) // max(len(lanes), 1)
    widths = {"step": STEP_WIDTH, **dict.fromkeys(lanes, lane_width), "Redis": REDIS_WIDTH}
    heads = {"step": "step", "Redis": "Redis", **{lane: f"{lane} {pods.get(lane, '')}" for lane in lanes}}
    drawn = [_beside(widths, {column: [heads[column]] for column in widths})]
    drawn.append(_beside(widths, {column: ["-" * size] for column, size in widths.items()}))
    rows = list(_rows(lines, contract, set(shows)))
    last = max((number for number, row in enumerate(rows) if row.marked), default=len(rows))
    for number, row in enumerate(rows):
        if number == last + 1:
            drawn.append("   ...")
        if number > last and not row.answers:
            continue
        step = f"{MARK if row.marked else ' '} {row.step}"
        drawn.append(_beside(widths, {"step": [step], row.column: row.texts}))
    return "\n".join(drawn)


def _beside(widths: Mapping[str, int], texts: Mapping[str, Sequence[str]]) -> str:
    """Columns of text beside each other, wrapped."""
    wrapped = {column: list(_wrap(texts.get(column, ()), size)) for column, size in widths.items()}
    height = max(map(len, wrapped.values()))
    return "\n".join(
        "  ".join((wrapped[column][n : n + 1] or [""])[0].ljust(size) for column, size in widths.items()).rstrip()
        for n in range(height)
    )


def _wrap(texts: Sequence[str], width: int) -> Iterator[str]:
    for text in texts:
        indent = " " * (len(text) - len(text.lstrip()) + 2)
        yield from textwrap.wrap(text, width, subsequent_indent=indent, drop_whitespace=True) or [""]


def _rows(lines: Sequence[Line], contract: Contract, shows: set[int]) -> Iterator[_Row]:
    """Commands and answers in the order in which they came."""
    names = _Names(lines, contract)
    calls: dict[int, tuple[int, str]] = {}  # process -> the call that it makes, and its lane
    found: list[tuple[int, _Row]] = []
    for no, line in enumerate(lines, 1):
        if line.type == "schedule" and line.op == "call":
            calls[line.data["process"]] = line.data["call"], line.data["lane"]
        elif line.type == "invoke" and line.process in calls:
            found.append((line.t, _Row("", calls[line.process][1], [f"{line.op} begins"])))
        elif line.type in COMPLETIONS and line.process in calls:
            found.append(
                (
                    line.t,
                    _Row("", calls.pop(line.process)[1], [f"{line.op}: {_answer(line)}"], no in shows, answers=True),
                )
            )
        elif line.type == "turn" and line.data.get("outcome") != SCRIPT:
            found.append((line.t, names.turn(line)))
        elif line.type == "turn" and found:
            found[-1][1].texts.insert(-1, "  " + names.command(line))
        if line.type == "turn" and no in shows:
            found[-1][1].marked = True
    yield from (row for _, row in sorted(found, key=lambda one: one[0]))


def _answer(line: Line) -> str:
    status = line.data.get("status")
    return str(status) if status else str(line.data.get("error", line.type))


class _Names:
    """Short names for what stands in commands: keys by what they are for, tokens by who made them."""

    def __init__(self, lines: Sequence[Line], contract: Contract) -> None:
        session, redis = str(lines[-1].data.get("session")), contract.redis
        pods: dict[str, str] = lines[0].data.get("pods", {})
        self._lanes = {pod: lane for lane, pod in pods.items()}
        kinds = {"lock": redis.lock, "session": redis.session, "fence": redis.fence}
        self._short = {pattern.format(id=session): kind for kind, pattern in kinds.items() if pattern}
        self._key = str(lines[0].data.get("key") or session)
        self._session = session
        counts: dict[str, int] = {}
        lock = next((key for key, kind in self._short.items() if kind == "lock"), "")
        for line in lines:
            args: list[str] = line.data.get("args", []) if line.type == "turn" else []
            if "SET" in line.op and args[:1] == [lock] and len(args) > 1 and args[1] not in self._short:
                lane = str(line.data.get("lane"))
                counts[lane] = counts.get(lane, 0) + 1
                self._short[args[1]] = f"token-{lane}{counts[lane]}"

    def turn(self, line: Line) -> _Row:
        """A row of a command with its reply, or of the expiry."""
        step = str(line.data.get("step") or "then")
        if line.op == EXPIRY:
            return _Row(step, "Redis", ["lock expires"])
        lane = str(line.data.get("lane"))
        own = self._lanes.get(line.pod)
        asked = [] if own == lane else [f"({f'for {lane}' if own else line.pod})"]
        reply = "-> " + (self._reply(line.data.get("reply")) if line.data.get("outcome") != "none" else "?")
        return _Row(step, own or lane, [*asked, self.command(line), reply])

    def command(self, line: Line) -> str:
        """A command without what nobody reads."""
        args = [str(arg) for arg in line.data.get("args", ())]
        if line.op in ("EVALSHA", "EVAL", "FCALL") and len(args) > 1:
            return f"{line.op} {self._word(args[0])} {' '.join(self._known(args[2:]))}"
        return " ".join([line.op, *(self._word(arg) for arg in args)])

    def _known(self, args: Sequence[str]) -> list[str]:
        """Of a script's arguments those that have a name."""
        return [self._word(arg) for arg in args if arg in self._short]

    def _word(self, arg: str) -> str:
        if arg in self._short:
            return self._short[arg]
        if DIGEST.fullmatch(arg):
            return arg[:6]
        arg = " ".join(arg.replace(self._session, "ID").replace(self._key, "KEY").split())
        return arg if len(arg) <= WORD_MAX else f"{arg[: WORD_MAX - 1]}…"

    def _reply(self, reply: Any) -> str:
        if isinstance(reply, list):
            return f"[{', '.join(self._reply(one) for one in reply)}]"[:REPLY_MAX]
        if isinstance(reply, dict):
            return json.dumps(reply)[:REPLY_MAX]
        return "nil" if reply is None else self._word(str(reply))
