"""Many registers at once, told their operations as they come: a history of millions need not be kept.

Only where the values written to a register are all different, and none of them is nil, which is what it holds at first.
"""

from collections.abc import Hashable, Iterable

from limpet.checkers.registers import Access, Illegal, Kind, Register, WrittenTwiceError
from limpet.models.base import Operation


def check(operations: Iterable[Operation]) -> tuple[int, int, dict[Hashable, list[Illegal]]]:
    """How many operations on how many registers, and why those of them are illegal that are.

    Raises:
        WrittenTwiceError: a value was written twice; limpet/checkers/linearizable.py can judge that.
    """
    registers: dict[Hashable, Register] = {}
    count = 0
    for operation in operations:
        count += 1
        register = registers.get(operation.key)
        if register is None:
            register = registers[operation.key] = Register()
        register.tell(_access(operation))
    found = ((key, register.illegal()) for key, register in registers.items())
    return count, len(registers), {key: reasons for key, reasons in found if reasons}


def _access(operation: Operation) -> Access:
    action = operation.action
    line = operation.done_no or operation.call_no
    if action.op == "write":
        if action.argument is None:
            raise WrittenTwiceError("nil was written, which is also what a register holds at first")
        return Access("write", operation.start, operation.end, action.argument, action.outcome, line)
    kind: Kind = "absent" if action.result is None else "read"
    return Access(kind, operation.start, operation.end, action.result, line=line)
