"""Operations from the lines of a history that somebody gives us. What is wrong is said with its line and the remedy."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

import msgspec

from limpet.errors import HistoryError
from limpet.models.base import NEVER, Given, Model, Operation

COMPLETIONS = frozenset(("ok", "fail", "info"))
FORM = 'a line is {"process": 1, "type": "invoke", "op": "read", "key": "x", "value": null}'

Numbered = tuple[int, Given]


def json_lines(texts: Iterable[bytes], source: str) -> Iterator[Numbered]:
    """The lines of our own form, numbered from 1; empty ones are passed over."""
    decode = msgspec.json.Decoder(Given).decode
    for no, text in enumerate(texts, 1):
        try:
            line = decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if not text.strip():
                continue
            raise HistoryError(f"{source} line {no}: {error}; {FORM}") from error
        yield no, line


def operations(lines: Iterable[Numbered], model: Model, source: str) -> Iterator[Operation]:
    """The operations that say something, in the order in which they came back; those that never did are last.

    Moments are line numbers: what stands later happened later. Lines that belong to no process are passed over (pods,
    faults, messages of a recorded run).

    Raises:
        HistoryError: the history is none, or holds what the model does not know.
    """
    under_way: dict[int | str, Numbered] = {}
    for numbered in lines:
        no, line = numbered
        if line.type == "invoke":
            if line.op not in model.ops:
                raise _wrong(source, no, _unknown_op(line.op, model))
            if line.process in under_way:
                raise _wrong(source, no, _busy(line, under_way[line.process][0]))
            under_way[line.process] = numbered
        elif line.type in COMPLETIONS:
            operation = _joined(model, source, under_way.pop(line.process, None), numbered)
            if operation is not None:
                yield operation
        elif line.process != -1:
            raise _wrong(source, no, f"the type {line.type!r} is unknown; write invoke, ok, fail or info")
    never_back = (_joined(model, source, call, None) for call in under_way.values())
    yield from (operation for operation in never_back if operation is not None)


def _joined(model: Model, source: str, begun: Numbered | None, ended: Numbered | None) -> Operation | None:
    """An operation from its two lines; None where it says nothing."""
    done_no, done = ended or (0, None)
    if begun is None or (done and begun[1].op != done.op):
        assert done is not None
        raise _wrong(source, done_no, _alone(done, begun))
    call_no, call = begun
    try:
        action = model.action(call, done)
    except ValueError as error:
        raise _wrong(source, done_no or call_no, str(error)) from error
    if action is None:
        return None
    end = NEVER if action.outcome == "info" else done_no
    key = (done.session if done else "") or call.session or ("" if call.key is None else call.key)
    return Operation(action, key, call_no, end, call_no, done_no)


def _wrong(source: str, no: int, text: str) -> HistoryError:
    return HistoryError(f"{source} line {no}: {text}")


def _unknown_op(op: str, model: Model) -> str:
    near = get_close_matches(op, model.ops, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{model.name} has no op {op!r}; {hint}it has {', '.join(model.ops)}; --model names another model"


def _busy(line: Given, call_no: int) -> str:
    return (
        f"process {line.process} begins an operation, and its last one (line {call_no}) has not come back; a process "
        "does one thing at a time: complete that with ok, fail or info, or give this one another process"
    )


def _alone(line: Given, begun: Numbered | None) -> str:
    if begun is None:
        return f"process {line.process} completes {line.op!r}, which it never began; its invoke is missing"
    return f"process {line.process} completes {line.op!r}, but it had begun {begun[1].op!r} (line {begun[0]})"
