"""The gadgets that can be started, and what each takes. The same list that `GET /api/gadgets` shows."""

from dataclasses import dataclass
from typing import Any, Literal

Category = Literal["trace", "snapshot", "top", "profile"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `kind` is `boolean`, `string` or `number`; numbers lie between `least` and `most`."""

    name: str
    kind: Literal["boolean", "string", "number"]
    description: str
    default: bool | str | int
    least: float = 0
    most: float = 0

    def fits(self, value: Any) -> bool:
        """Whether a client may give this value."""
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and self.least <= value <= self.most
        return isinstance(value, bool if self.kind == "boolean" else str)

    def shown(self) -> dict[str, Any]:
        """As the catalogue shows it."""
        shown = {"name": self.name, "type": self.kind, "description": self.description, "default": self.default}
        return shown | ({"minimum": self.least, "maximum": self.most} if self.kind == "number" else {})


@dataclass(frozen=True, slots=True)
class Gadget:
    """One kind of gadget; `event_type` is what its events are called."""

    type: str
    name: str
    description: str
    category: Category
    event_type: str
    parameters: tuple[Parameter, ...] = ()

    def shown(self) -> dict[str, Any]:
        """As the catalogue shows it."""
        return {
            "type": self.type,
            "name": self.name,
            "description": self.description,
            "category": self.category,
            "eventType": self.event_type,
            "parameters": [parameter.shown() for parameter in self.parameters],
        }


_INTERVAL = Parameter("interval", "number", "seconds between two tables", 1, 0.1, 3600)
_ENTRIES = Parameter("maxEntries", "number", "rows of a table", 10, 1, 100)

_ALL = (
    Gadget(
        "trace_tcp",
        "Trace TCP",
        "TCP connects, accepts and closes",
        "trace",
        "tcp",
        (
            Parameter("acceptOnly", "boolean", "accepts only", default=False),
            Parameter("connectOnly", "boolean", "connects only", default=False),
            Parameter("failureOnly", "boolean", "failed connects only", default=False),
        ),
    ),
    Gadget("trace_dns", "Trace DNS", "DNS queries and answers", "trace", "dns"),
    Gadget(
        "trace_exec",
        "Trace exec",
        "programs that are started",
        "trace",
        "exec",
        (Parameter("paths", "boolean", "with working directory and path of the program", default=False),),
    ),
    Gadget("trace_open", "Trace open", "files that are opened", "trace", "open"),
    Gadget("trace_sni", "Trace SNI", "server names in TLS handshakes", "trace", "sni"),
    Gadget("trace_signal", "Trace signal", "signals that are sent", "trace", "signal"),
    Gadget("trace_oomkill", "Trace OOM kill", "processes killed for want of memory", "trace", "oomkill"),
    Gadget("snapshot_process", "Snapshot process", "all processes, once", "snapshot", "process"),
    Gadget("snapshot_socket", "Snapshot socket", "all sockets, once", "snapshot", "socket"),
    Gadget("top_tcp", "Top TCP", "connections by traffic", "top", "toptcp", (_INTERVAL, _ENTRIES)),
    Gadget("top_file", "Top file", "files by reads and writes", "top", "topfile", (_INTERVAL, _ENTRIES)),
    Gadget("top_process", "Top process", "processes by CPU time", "top", "topprocess", (_INTERVAL, _ENTRIES)),
    Gadget(
        "profile_cpu",
        "Profile CPU",
        "stacks by samples, once",
        "profile",
        "cpu",
        (Parameter("duration", "number", "seconds to sample", 10, 0.1, 3600),),
    ),
)

GADGETS = {gadget.type: gadget for gadget in _ALL}
