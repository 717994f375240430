"""What checkers share: collecting findings of one part, and reading common lines."""

from typing import Any

from limpet.contract import Contract
from limpet.history import Line, Op, Section
from limpet.verdict import Finding, Part

FINDINGS_MAX = 20  # of one part; a broken backend breaks the same way a thousand times


class PartBuilder:
    """One part while its evidence is gathered."""

    def __init__(self, section: Section, name: str, what: str, enough: int) -> None:
        self._section = section
        self._name = name
        self._what = what
        self._enough = enough
        self._findings: list[Finding] = []
        self._more = 0
        self.had = 0
        self.missing = ""
        self.doubt = ""

    def find(self, seen: str, *, expected: str, lines: tuple[int, ...] = ()) -> None:
        """Something is wrong; `lines` are the numbers of the lines that show it."""
        if len(self._findings) == FINDINGS_MAX:
            self._more += 1
            return
        where = self._section.where(*sorted(lines)) if lines else self._section.source
        self._findings.append(Finding(self._name, expected, seen, where))

    def done(self) -> Part:
        """The part."""
        if self._more:
            last = self._findings[-1]
            more = f"{last.seen}; and {self._more} more like these"
            self._findings[-1] = Finding(last.part, last.expected, more, last.where)
            self._more = 0
        findings = tuple(self._findings)
        return Part(self._name, self._what, self.had, self._enough, findings, self.missing, self.doubt)


def replicas_declared(section: Section) -> int:
    """The declared number of replicas, from the line `target`; 0 when it is not there."""
    return next((int(line.data.get("replicas", 0)) for _, line in section.of("target")), 0)


def pods_of(line: Line) -> list[dict[str, Any]]:
    """The pods of a line `pods`."""
    return list(line.data.get("pods", ()))


class Answerers:
    """Which replica answered: as the answer's header says, else the one that owned what the call had created.

    Never by the cookie's own value: what stands between the ingress and the pods would pass unseen.
    """

    def __init__(self, section: Section) -> None:
        self._owner: dict[str, str] = {}
        for op in section.ops("look"):
            owners: list[str] = op.done.value.get("owners", []) if op.type == "ok" and op.done else []
            if len(owners) == 1:
                self._owner.setdefault(op.call.session, owners[0])

    def of(self, op: Op) -> str:
        """The instance id, "" where nothing tells it."""
        return op.pod or (self._owner.get(op.done.session, "") if op.done else "")

    @staticmethod
    def missing(contract: Contract) -> str:
        """Why the contract does not let it be told, "" when it does."""
        if contract.http.instance_header or contract.redis.owned:
            return ""
        return "neither http.instance_header nor redis.owned is in the contract"

    @staticmethod
    def missing_for_sockets(contract: Contract) -> str:
        """The same for a WebSocket; one that is tied to the owner is served by the owner."""
        if contract.websocket is None:
            return "[websocket] is not in the contract"
        if contract.http.instance_header or (contract.redis.owned and not contract.websocket.any_replica):
            return ""
        return "http.instance_header is not in the contract"


def lacks(contract: Contract, *names: str) -> str:
    """Which of these keys the contract lacks first, in words; "" when it has all."""
    for name in names:
        table, _, key = name.partition(".")
        if getattr(getattr(contract, table), key, None) is None:
            return f"{name} is not in the contract"
    return ""
