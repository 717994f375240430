"""The ledger of acknowledged writes: what was answered with success must be there afterwards, the deleted must not.

A write of unknown outcome binds nobody: both its presence and its absence are right.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from limpet.contract import Contract
from limpet.history import Op, Section


@dataclass(slots=True)
class Entry:
    """One session in the ledger.

    Attributes:
        created: the acknowledged create.
        deletes: all deletes that were begun.
        updates: all updates that were begun.
    """

    created: Op
    deletes: list[Op] = field(default_factory=list)
    updates: list[Op] = field(default_factory=list)

    def must_be_shown(self, read: Op) -> bool:
        """Whether `read` began after the create was acknowledged and ended before any delete began."""
        return self.created.done_no < read.call_no and all(d.call_no > read.done_no for d in self.deletes)

    def must_be_gone(self, read: Op) -> Op | None:
        """The acknowledged delete before which `read` did not begin, None if there is none."""
        return next((d for d in self.deletes if d.type == "ok" and d.done_no < read.call_no), None)

    def allowed_values(self, read: Op) -> list[Any] | None:
        """What `read` may see in the updated field; None when nothing was written before it that binds it.

        The last acknowledged update that ended before the read began binds; every update that overlaps it, the read, or
        has no known outcome may be seen instead.
        """
        bound = [u for u in self.updates if u.type == "ok" and u.done_no < read.call_no]
        if not bound:
            return None
        last = max(bound, key=lambda u: u.call_no)
        return [
            update.call.value
            for update in self.updates
            if update.type != "fail"
            and update.call_no < read.done_no
            and (update.type == "info" or update.done_no > last.call_no)
        ]


def entries(section: Section) -> dict[str, Entry]:
    """The ledger of a history: one entry for each session whose create was acknowledged."""
    ledger = {op.done.session: Entry(op) for op in section.ops("create") if op.type == "ok" and op.done}
    for op in section.ops("delete", "update"):
        entry = ledger.get(op.call.session)
        if entry:
            (entry.deletes if op.call.op == "delete" else entry.updates).append(op)
    return ledger


def last_looks(lists: Iterable[Op]) -> list[Op]:
    """Of each process the list that it got last: what was late and came is not lost."""
    return list({op.call.process: op for op in lists}.values())


def updated_field(op: Op, contract: Contract) -> Any:
    """What a read saw in the field that updates write."""
    record = op.done.value if op.done else None
    return record.get(contract.http.update_field) if isinstance(record, dict) else None
