"""A table of a TOML file as a frozen dataclass. Every mistake is named with its key and with what to write instead."""

import difflib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from limpet.errors import ContractError


def build(kind: type[Any], table: Any, examples: Mapping[str, str], where: str = "") -> Any:
    """An instance of the dataclass `kind` from a table.

    Args:
        kind: a dataclass of texts, numbers of seconds, lists of texts, tables, and classes with a `from_text`.
        table: as tomllib gives it.
        examples: dotted key -> what to write when it is missing.
        where: dotted key of the table itself, "" for the whole file.

    Raises:
        ContractError: a key is unknown, missing or of the wrong type.
    """
    if not isinstance(table, Mapping):
        raise ContractError(f"[{where}] must be a table of keys, not {table!r}")
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise ContractError(f"unknown key `{_at(where, key)}`; {near(key, [k for k in hints if k != 'path'])}")
    values = {}
    for spec in fields(kind):
        if spec.name in table:
            values[spec.name] = _convert(hints[spec.name], table[spec.name], _at(where, spec.name), examples)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            dotted = _at(where, spec.name)
            raise ContractError(f"missing key `{dotted}`; write {examples.get(dotted, _example(spec.name))}")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str, examples: Mapping[str, str]) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(h for h in get_args(hint) if h is not type(None))
    if is_dataclass(hint) and isinstance(hint, type):
        from_text = getattr(hint, "from_text", None)
        return from_text(value, where) if from_text else build(hint, value, examples, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ContractError(f"`{where}` is {value!r}; write one of: {', '.join(map(repr, get_args(hint)))}")
        return value
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ContractError(f"`{where}` is {value!r}; write a number of seconds, 0 or more")
        return float(value)
    if get_origin(hint) is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) for v in value):
            raise ContractError(f'`{where}` is {value!r}; write a list of strings: ["..."]')
        return tuple(value)
    wanted, name = {str: (str, "a string"), bool: (bool, "true or false"), Path: (Path, "a path")}.get(
        hint, (Mapping, "a table: { key = value }")
    )
    if not isinstance(value, wanted):
        raise ContractError(f"`{where}` is {value!r}; write {name}")
    return value


def near(word: str, known: Sequence[str]) -> str:
    """What was probably meant by `word`, or else all that is known."""
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _example(key: str) -> str:
    return f'{key} = "..."'
