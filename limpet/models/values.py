"""Values of JSON as things that can be compared, kept in sets, and written for a reader again.

Numbers and texts stay as they are. Lists and objects become tuples that begin with a mark, so that a list is no object;
true and false do too, since Python takes them for 1 and 0.
"""

import json
from collections.abc import Hashable
from typing import Any

_LIST, _OBJECT, _BOOL = "[]", "{}", "?"
SHOWN_MAX = 60  # of a value's characters in a finding


def freeze(value: Any) -> Hashable:
    """A value of JSON, hashable; equal iff the values are."""
    kind = type(value)
    if kind is int or kind is str or value is None or kind is float:
        return value  # type: ignore[no-any-return]  # one of the four
    if kind is bool:
        return (_BOOL, value)
    if kind is list:
        return (_LIST, *map(freeze, value))
    if kind is dict:
        return (_OBJECT, *((key, freeze(value[key])) for key in sorted(value)))
    raise TypeError(f"{value!r} is no value of JSON")


def thaw(value: Hashable) -> Any:
    """The value of JSON again."""
    if not isinstance(value, tuple):
        return value
    mark, *rest = value
    if mark == _BOOL:
        return rest[0]
    if mark == _LIST:
        return [thaw(item) for item in rest]
    return {key: thaw(item) for key, item in rest}


def shown(value: Hashable) -> str:
    """A value as JSON has it; nil where there is none, and the middle left out of what is long."""
    text = "nil" if value is None else json.dumps(thaw(value), ensure_ascii=False)
    half = SHOWN_MAX // 2
    return text if len(text) <= SHOWN_MAX else f"{text[:half]} ... {text[-half:]}"
