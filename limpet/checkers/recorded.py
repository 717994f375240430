"""The events of a session as its watchers got them and as its history has them, made comparable.

An answer of the history is an array, or an object with one; an item is the event's message with the payload under
`data`, or the payload itself. Two events are the same when they carry the same; where stream and history both number
them, when they also have the same number.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any

from limpet.contract import Contract
from limpet.history import Op, Section, seconds_between

NO_EVENTS = ("subscribed", "interruption", "gap", "session_ended", "error")

Key = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        payload: what it carries, as text.
        seq: its number in the stream, None where it has none.
        count: the source's own count, None where it has none.
        announced: whether an interruption stands right before it.
        line: of the history file, where it was streamed.
    """

    payload: str
    seq: int | None = None
    count: int | None = None
    announced: bool = False
    line: int = 0

    @property
    def unique(self) -> bool:
        """Whether no other event of its session can be the same."""
        return self.seq is not None or self.count is not None

    @property
    def key(self) -> Key:
        """What makes it the same as another."""
        return self.seq, self.payload


def streamed(section: Section, *, own: bool) -> dict[str, dict[int, list[Event]]]:
    """Session -> watcher -> its events in the order of their arrival. Messages that carry nothing are left out.

    With `own` those that name another session are left out too.
    """
    found: dict[str, dict[int, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for no, line in section.of("message", op="event"):
        if line.data.get("payload") is not None and not (own and "of" in line.data):
            event = Event(_text(line.data["payload"]), _number(line.value), _number(line.data.get("n")), line=no)
            found[line.session][line.process].append(event)
    return found


def in_order(several: Iterable[Event]) -> list[Event]:
    """Those with a number of their session, in the order of the numbers."""
    return sorted((event for event in several if event.seq is not None), key=lambda event: event.seq or 0)


def silence_s(section: Section) -> float:
    """The longest time that any watcher waited for an event, from its connect to its close; infinite without one."""
    last = {op.call.process: op.done for op in section.ops("connect") if op.type == "ok" and op.done}
    longest_s = 0.0 if last else inf
    for _, line in section.of("message", "closed", "end"):
        waited = last if line.type == "end" else {line.process} & last.keys()
        longest_s = max([longest_s, *(seconds_between(last[process], line) for process in waited)])
        if line.type == "closed":
            last.pop(line.process, None)
        elif line.op == "event" and waited:
            last[line.process] = line
    return longest_s


def recorded(op: Op | None, contract: Contract) -> list[Event]:
    """The events of an answer, in its order; interruptions and ends are none."""
    return events(op.done.value, contract) if op and op.done else []


def events(body: Any, contract: Contract) -> list[Event]:
    """The same of an answer's body."""
    found, announced = [], False
    stream = contract.websocket
    paths = (stream.seq, stream.source_counter) if stream else (None, None)
    for item in items(body):
        enveloped = isinstance(item, dict) and "data" in item
        if isinstance(item, dict) and item.get("type") in NO_EVENTS and not enveloped:
            announced = announced or item["type"] == "interruption"
            continue
        message = item if enveloped else {"data": item}
        seq, count = (_number(_at(message, path)) for path in paths)
        found.append(Event(_text(message["data"]), seq, count, announced))
        announced = False
    return found


def items(body: Any) -> list[Any]:
    """The array itself, or the one in an object: `events` if that is there, else the first."""
    if isinstance(body, dict):
        arrays = [body.get("events"), *body.values()]
        body = next((value for value in arrays if isinstance(value, list)), [])
    return body if isinstance(body, list) else []


def alike(*several: Iterable[Event]) -> list[list[Event]]:
    """The same lists, without numbers where one of the events has none: then all are told by what they carry."""
    lists = [list(one) for one in several]
    if all(event.seq is not None for one in lists for event in one):
        return lists
    return [[replace(event, seq=None) for event in one] for one in lists]


def once(several: Iterable[Event]) -> list[Event]:
    """Without those that are there again, where they can be told from others that only carry the same."""
    every = list(several)
    return list({event.key: event for event in every}.values()) if unique(every) else every


def unique(several: Iterable[Event]) -> bool:
    """Whether each can be told from all others."""
    return all(event.unique for event in several)


def gaps(several: Sequence[Event]) -> list[tuple[int, int]]:
    """Where the source's count jumps, and no interruption announces it. It begins at 1, as if 0 was before that."""
    announced = {event.count for event in several if event.announced}
    counts = sorted({event.count for event in several if event.count is not None})
    return [(one, next_) for one, next_ in pairwise([0, *counts]) if next_ > one + 1 and next_ not in announced]


def matched(history: list[Event], events: list[Event]) -> tuple[list[Event], list[Event], list[Key] | None]:
    """A watcher's events that are not in the history, those that are, and what the history has between these.

    The last is None where the history has them in another order.
    """
    have = [event.key for event in once(history)]
    left = Counter(have)
    missing: list[Event] = []
    kept: list[Event] = []
    for event in once(events):
        (kept if left[event.key] > 0 else missing).append(event)
        left[event.key] -= 1
    window: list[Key] | None = None
    for start in (place for place, key in enumerate(have) if kept and key == kept[0].key):
        end = start
        try:
            for event in kept:
                end = have.index(event.key, end) + 1
        except ValueError:
            break
        if window is None or end - start < len(window):
            window = have[start:end]
    return missing, kept, window if kept else []


def begins(history: list[Event], events: list[Event]) -> bool:
    """Whether the history has nothing before these; events that say the same are told by how often they came."""
    first = events[0].key
    times = [sum(event.key == first for event in several) for several in (history, events)]
    return bool(history) and history[0].key == first and times[0] <= times[1]


def _text(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _at(message: Any, path: str | None) -> Any:
    for key in path.split(".") if path else ():
        message = message.get(key) if isinstance(message, dict) else None
    return message if path else None
