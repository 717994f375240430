"""What became of a fault: whether it bit, whether the target recovered, and how long that took."""

from dataclasses import dataclass

from limpet.history import Line, Section, seconds_between


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
    why, last = "", 0
    began: Line | None = None
    took_s = 0.0
    for no, line in section.of("fault"):
        if line.data.get("fault") != fault:
            continue
        last = no
        match line.op:
            case "inject":
                bit, recovered, why, took_s, began = False, False, "", 0.0, line
            case "effect":
                bit = True
            case "recovered":
                recovered, took_s = True, seconds_between(began or line, line)
            case "not recovered":
                bit, why = True, str(line.data.get("why"))
            case "no effect":
                why = str(line.data.get("why"))
            case _:
                pass
    return Outcome(bit, recovered, took_s, why, last)
