"""The operations on each session, of a history in which a list tells of many and a create of none until it returns."""

from collections.abc import Hashable, Iterable

from msgspec.structs import replace

from limpet.models.base import NEVER, Action, Operation


def by_session(operations: Iterable[Operation]) -> dict[Hashable, list[Operation]]:
    """Session -> operations on it.

    - A create that is tried again with its key (its call's value) is one create, which may have happened at the first
      try and was known to have when the first answer came.
    - A session that is used, and whose create nobody was answered, comes from one of unknown outcome that named none.
    - A list is a read of presence of each session somewhere within its interval. Sessions that occur in lists alone are
      left out: others may have made them.
    """
    found: dict[Hashable, list[Operation]] = {}
    creates: list[Operation] = []
    lists: list[Operation] = []
    for operation in operations:
        if operation.action.op == "list":
            lists.append(operation)
        elif operation.action.op == "create":
            creates.append(operation)
        else:
            found.setdefault(operation.key, []).append(operation)
    tried = _first_tries(creates)
    nameless: list[Operation] = []
    for create in _once(creates, tried):
        if create.key == "":
            nameless.append(create)
        else:
            found.setdefault(create.key, []).append(create)
    _adopt(found, nameless)
    for key, ones in found.items():
        ones.extend(_shown(key, min(one.start for one in ones), lists))
    return found


def _first_tries(creates: Iterable[Operation]) -> dict[Hashable, Operation]:
    """Key of a create -> the first one with it."""
    first: dict[Hashable, Operation] = {}
    for create in creates:
        key = create.action.argument
        if key is not None and (key not in first or create.start < first[key].start):
            first[key] = create
    return first


def _once(creates: Iterable[Operation], tried: dict[Hashable, Operation]) -> Iterable[Operation]:
    """Each create once: the answered one of those with the same key, begun with the first of them."""
    answered: dict[tuple[Hashable, Hashable], Operation] = {}
    for create in creates:
        key = create.action.argument
        if create.action.outcome != "ok":
            continue
        if key is None:
            yield create
        elif (key, create.key) not in answered or create.end < answered[key, create.key].end:
            answered[key, create.key] = create
    for (key, _), create in answered.items():
        yield replace(create, start=tried[key].start)
    settled = {key for key, _ in answered}
    yield from (one for one in creates if one.action.outcome == "info" and one.action.argument not in settled)


def _adopt(found: dict[Hashable, list[Operation]], nameless: list[Operation]) -> None:
    """Give every session without a create one of those that named none: the earliest, which allows the most."""
    if not nameless:
        return
    first = min(nameless, key=lambda create: create.start)
    for key, ones in found.items():
        if not any(one.action.op == "create" for one in ones):
            ones.append(replace(first, key=key, end=NEVER))


def _shown(key: Hashable, known_from: int, lists: Iterable[Operation]) -> Iterable[Operation]:
    """What lists tell of a session; one that ended before anybody could know of it tells nothing."""
    for one in lists:
        assert isinstance(one.action.result, frozenset)
        if key in one.action.result:
            yield replace(one, key=key, action=Action("present", changes=False))
        elif one.end > known_from:
            yield replace(one, key=key, action=Action("absent", changes=False))
