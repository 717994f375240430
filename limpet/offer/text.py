"""A contract as text: as it was read, with what is left out named; or as a file to start from, every key explained.

Both are contract files themselves: what is not TOML stands behind `#`.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any

from limpet.contract import Contract, Endpoint
from limpet.offer.coverage import Coverage
from limpet.offer.keys import KEYS, NEEDED, TABLES, tables

WIDTH = 100
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def shown(contract: Contract, rows: tuple[Coverage, ...]) -> str:
    """The contract as it was read, defaults filled in; then the budgets that follow, and the settings it gives."""
    lines = [f"name = {toml(contract.name)}"]
    for table, value, keys in tables(contract):
        lines += ["", f"[{table}]" if value is not None else f"# [{table}]: not offered; {NEEDED[table]}"]
        for key in keys if value is not None else ():
            what = getattr(value, key)
            lines.append(_not_offered(f"{table}.{key}") if _left_out(what) else f"{key} = {toml(what)}")
    budgets = [f"# {row.guarantee}: {row.budget}" for row in rows if row.budget and not row.reason]
    settings = [f"# {name}={value}" for name, value in contract.settings().items()]
    lines += ["", "# Budgets that follow", *budgets] if budgets else []
    lines += ["", "# Settings that a replica is given", *settings] if settings else []
    return "\n".join(lines) + "\n"


def to_start_from(contract: Contract) -> str:
    """`contract` with every key explained, and those that it lacks behind `#` with an example."""
    lines = [
        "# What a backend offers and claims. Change what is different in yours, remove what it does not offer, then:",
        "#   limpet contract check THIS-FILE",
        "#   limpet verify --contract THIS-FILE",
        "",
        *_explained("name"),
        'name = "my-backend"',
    ]
    for table, value, keys in tables(contract):
        lines += ["", f"[{table}]" if value is not None else f"# [{table}]  without it {NEEDED[table]}"]
        for key in keys:
            what = None if value is None else getattr(value, key)
            lines += _explained(f"{table}.{key}")
            lines.append(f"# {key} = {KEYS[f'{table}.{key}'].example}" if _left_out(what) else f"{key} = {toml(what)}")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    match value:
        case Endpoint(method, path):
            text = toml(f"{method} {path}")
        case bool():
            text = str(value).lower()
        case str():
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case float():
            text = f"{value:g}"
        case Mapping():
            pairs = [f"{key if BARE_KEY.fullmatch(key) else toml(key)} = {toml(one)}" for key, one in value.items()]
            text = "{ " + ", ".join(pairs) + " }" if pairs else "{}"
        case tuple() | list():
            text = "[" + ", ".join(map(toml, value)) + "]"
        case _:  # numbers, and dates as they are written in ISO 8601
            text = value.isoformat() if isinstance(value, date | time) else str(value)
    return text


def _left_out(value: Any) -> bool:
    return value is None or value == ()


def _not_offered(key: str) -> str:
    name = key.partition(".")[2]
    return f"# {name}: not offered; {KEYS[key].without}"


def _explained(key: str) -> Iterator[str]:
    entry = KEYS[key]
    text = f"{entry.what}; without it {entry.without}" if entry.without else f"{entry.what}; required"
    if key.partition(".")[0] in TABLES and key.partition(".")[0] in NEEDED and not entry.without:
        text += " in this table"
    for line in textwrap.wrap(text, WIDTH):
        yield f"# {line}"
