"""What became of a fault: whether it bit, whether the target recovered, and how long that took."""

from dataclasses import dataclass

from limpet.clock import NS_PER_S
from limpet.history import Section


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fault as the history tells it. `line` is its last line's number; `took_s` from injection to recovery."""

    bit: bool = False
    recovered: bool = False
    took_s: float = 0.0
    why: str = ""
    line: int = 0


def outcome(section: Section, fault: str) -> Outcome:
    """The outcome of the (last) fault of that name."""
    bit = recovered = False
    why, began_ns, ended_ns, last = "", 0, 0, 0
    for no, line in section.of("fault"):
        if line.data.get("fault") != fault:
            continue
        last = no
        match line.op:
            case "inject":
                bit, recovered, why, began_ns = False, False, "", line.t
            case "effect":
                bit = True
            case "recovered":
                recovered, ended_ns = True, line.t
            case "not recovered":
                bit, why = True, str(line.data.get("why"))
            case "no effect":
                why = str(line.data.get("why"))
            case _:
                pass
    return Outcome(bit, recovered, (ended_ns - began_ns) / NS_PER_S if recovered else 0.0, why, last)
