"""What watchers went through: for each fault, whether it bit and was recovered from, and who got events again after it.

What they got is judged elsewhere (`limpet.checkers.delivery`, `agreement`, `interruptions`), whatever the faults were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from limpet.checkers.connections import Leg
from limpet.checkers.parts import PartBuilder
from limpet.checkers.recovery import OVER
from limpet.contract import Contract
from limpet.history import Line, Section, seconds_between
from limpet.verdict import Part

SESSIONS = 20
WATCHERS = 50
PAUSED = "pause beyond the lease"
AT_ONCE = "two at once"
FAULTS: Mapping[str, str] = {  # in the order in which they are made: what the target must be able to do
    "pod delete": "delete",
    "pod kill": "kill",
    PAUSED: "pause",  # before Redis is restarted: then all leases are new at once, and none ends soon
    "Redis restart": "restart",
    "scale down": "scale",
    "roll-out": "rollout",
}
GO_ON_SLACK_S = 5.0

Numbered = tuple[int, Line]


@dataclass(frozen=True, slots=True)
class Struck:
    """One fault that was made.

    Attributes:
        began: its injection; `over`: the line that says what became of it, or the last line of the record.
        why: what is said of it where it did not bite, or was not recovered from.
    """

    fault: str
    began: Numbered
    over: Numbered
    bit: bool
    recovered: bool
    why: str

    def beside(self, other: "Struck") -> bool:
        """Whether one began while the other lasted."""
        return self.began[0] < other.over[0] and other.began[0] < self.over[0]


def go_on_s(contract: Contract) -> float:
    """Within what time of a fault's end every watcher has events again, however the dead owner was noticed."""
    timing = contract.timing
    return (timing.heartbeat_ttl_s or 0.0) + 2 * (timing.takeover_scan_s or 0.0) + GO_ON_SLACK_S


def struck(section: Section) -> list[Struck]:
    """All faults that were made, in the order of their injections. Those of one name do not overlap."""
    lines = [(no, line) for no, line in section.of("fault")]
    found = []
    for at, (no, line) in enumerate(lines):
        if line.op != "inject":
            continue
        name = line.data.get("fault")
        own: list[Numbered] = []
        for other_no, other in lines[at + 1 :]:
            if other.data.get("fault") == name:
                if other.op == "inject":
                    break
                own.append((other_no, other))
        over = next(((n, one) for n, one in own if one.op in OVER), (len(section.lines), section.lines[-1]))
        phases = {one.op for _, one in own}
        whys = [str(one.data["why"]) for _, one in own if "why" in one.data]
        found.append(
            Struck(
                str(name),
                (no, line),
                over,
                bit=not phases.isdisjoint(("effect", "not recovered")),
                recovered="recovered" in phases,
                why=whys[-1] if whys else "",
            )
        )
    return found


def through_faults(section: Section, contract: Contract, every: Sequence[Leg], missing: str) -> list[Part]:
    """A part for each fault. `missing` is why streams cannot be judged at all, "" where they can."""
    strikes = struck(section)
    pairs = [pair for pair in _pairs(strikes) if pair[0].beside(pair[1])]
    events = _events(every)
    parts = []
    for name in (*FAULTS, AT_ONCE):
        part = PartBuilder(section, name, "watchers that went on", WATCHERS)
        part.missing = missing or _missing(section, contract, name)
        made = [max(pair, key=lambda one: one.over[0]) for pair in pairs] if name == AT_ONCE else []
        made += [one for one in strikes if one.fault == name]
        for one in made:
            if one.bit and not one.recovered:
                seen = f"the replicas did not recover from it: {one.why}"
                part.find(seen, expected="all ready again", lines=(one.over[0],))
        bit = [one for one in made if one.bit]
        if not bit:
            why = next((one.why for one in made if one.why), "it was not carried out")
            part.doubt = f"the fault did not bite: {why}"
        for one in bit:
            until = _until(section, strikes, one)
            went_on = {watcher for watcher, several in events.items() if any(one.over[0] < n < until for n in several)}
            part.had = max(part.had, len(went_on))
            for leg in _ended_by_itself(section, every, one, until):
                part.find(
                    f"{leg.session} ended, and nobody had asked for it: {leg.messages[-1][1].data.get('reason')}",
                    expected="it goes on",
                    lines=(one.began[0], leg.end[1] if leg.end else leg.opened[0]),
                )
            for leg in _left_behind(section, contract, every, one, until, went_on):
                part.find(
                    f"a watcher of {leg.session} got no event within {go_on_s(contract):g} s of the end of it",
                    expected="its stream goes on",
                    lines=(one.over[0], leg.opened[0]),
                )
        parts.append(part.done())
    return parts


def longest_s(every: Sequence[Leg], one: Struck) -> float:
    """The longest time without an event for any watcher, of those times that have something of this fault in them."""
    came: dict[int, list[Line]] = {}
    for leg in every:
        came.setdefault(leg.watcher, []).extend(line for _, _, line in leg.numbered if line.op == "event")
    began, over = one.began[1], one.over[1]
    waits = (
        seconds_between(before, after)
        for lines in came.values()
        for before, after in pairwise(lines)
        if before.t <= over.t and after.t >= began.t
    )
    return max(waits, default=0.0)


def _pairs(strikes: Sequence[Struck]) -> list[tuple[Struck, Struck]]:
    return [(one, other) for at, one in enumerate(strikes) for other in strikes[at + 1 :]]


def _events(every: Sequence[Leg]) -> dict[int, list[int]]:
    """Watcher -> the lines of its events."""
    found: dict[int, list[int]] = {}
    for leg in every:
        found.setdefault(leg.watcher, []).extend(no for _, no, line in leg.numbered if line.op == "event")
    return found


def _until(section: Section, strikes: Sequence[Struck], one: Struck) -> int:
    """The line up to which nothing else is made after it."""
    return min((other.began[0] for other in strikes if other.began[0] > one.over[0]), default=len(section.lines))


def _left_behind(  # noqa: PLR0917  a row of the table above
    section: Section, contract: Contract, every: Sequence[Leg], one: Struck, until: int, went_on: set[int]
) -> list[Leg]:
    """The first legs of those who watched before, whose session had not ended, and who waited long enough for nothing.

    A session ends where somebody asks for it, or where anybody got the end.
    """
    if seconds_between(one.over[1], section.lines[until - 1]) < go_on_s(contract):
        return []
    over = {op.call.session for op in section.ops("delete") if op.call_no < until} | {
        leg.session for leg in every if leg.end and leg.end[1] < until
    }
    first: dict[int, Leg] = {}
    for leg in every:
        if leg.opened[0] < one.began[0] and not (leg.closed and leg.closed[1].data.get("own")):
            first.setdefault(leg.watcher, leg)
    return [leg for who, leg in first.items() if who not in went_on and leg.session not in over]


def _ended_by_itself(section: Section, every: Sequence[Leg], one: Struck, until: int) -> list[Leg]:
    """The first leg of each session whose end came then although nobody had deleted it."""
    deletes = {op.call.session: op.call_no for op in reversed(section.ops("delete"))}
    first: dict[str, Leg] = {}
    for leg in every:
        if leg.end and one.began[0] < leg.end[1] < min(until, deletes.get(leg.session, until)):
            first.setdefault(leg.session, leg)
    return list(first.values())


def _missing(section: Section, contract: Contract, name: str) -> str:
    """Why the contract or the target does not let this be shown, "" when it does."""
    for _, line in section.of("fault", op="unsupported"):
        if line.data.get("fault") == (PAUSED if name == AT_ONCE else name):
            return str(line.data.get("why"))
    if name in (PAUSED, AT_ONCE):
        for key, value in (
            ("redis.heartbeat", contract.redis.heartbeat),
            ("timing.heartbeat_ttl_s", contract.timing.heartbeat_ttl_s),
        ):
            if value is None:
                return f"{key} is not in the contract"
    return ""
