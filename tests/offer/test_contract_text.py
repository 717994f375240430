"""A contract that is shown, or started from, is a contract again; and every key of it is explained."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Contract
from limpet.offer.coverage import coverage
from limpet.offer.keys import KEYS, TABLES
from limpet.offer.text import shown, to_start_from, toml

MINIMAL = """
name = "small"
[http]
list = "GET /s"
create = "POST /s"
delete = "DELETE /s/{id}"
body = { a = [1, 2.5, true], "b c" = { d = "x\\"y\\u007f" }, at = 2026-01-01T00:00:00Z }
[claims]
guarantees = ["replicas"]
"""


def load(name: str) -> Contract:
    return contracts.load(shipped.contract(name))


def minimal() -> Contract:
    return contracts.parse(MINIMAL, Path("small.toml"))


@pytest.mark.parametrize("known", [load("gadget"), load("guide"), minimal()], ids=lambda known: known.name)
def test_a_shown_contract_reads_as_the_same_contract(known: Contract) -> None:
    assert contracts.parse(shown(known, coverage(known)), known.path) == known


@pytest.mark.parametrize("known", [load("gadget"), load("guide"), minimal()], ids=lambda known: known.name)
def test_a_file_to_start_from_is_a_contract(known: Contract) -> None:
    assert contracts.parse(to_start_from(known), known.path) == replace(known, name="my-backend")


def test_all_that_is_left_out_is_named() -> None:
    text = shown(load("guide"), ())
    assert "# ready: not offered; readiness is probed by http.health" in text
    assert "# fence: not offered" in text
    assert "# [websocket]: not offered" in shown(minimal(), ())


def test_budgets_and_settings_follow() -> None:
    gadget = load("gadget")
    text = shown(gadget, coverage(gadget))
    assert "# heartbeat: 5 s +-20 %" in text
    assert "# BACKEND_HEARTBEAT_TTL_S=15" in text


def test_every_key_is_explained_and_no_other() -> None:
    there = {f"{table}.{spec.name}" for table, kind in TABLES.items() for spec in fields(kind)}
    assert there | {"name"} == set(KEYS)
    assert set(TABLES) | {"name", "path"} == {spec.name for spec in fields(Contract)}


def test_examples_are_accepted_in_place_of_what_is_left_out() -> None:
    """Every commented example of the starting file can be used as it stands."""
    lines = to_start_from(minimal()).splitlines()
    examples = {key.rpartition(".")[2] for key in KEYS}
    used = [
        line.removeprefix("# ")
        if line.startswith("# [") or line.removeprefix("# ").partition(" = ")[0] in examples
        else line
        for line in lines
    ]
    used = [line.partition("  without it")[0] for line in used]
    full = contracts.parse("\n".join(used), Path("full.toml"))
    assert full.kubernetes is not None
    assert full.websocket is not None
    assert None not in [getattr(full.redis, spec.name) for spec in fields(full.redis)]
    assert None not in [getattr(full.http, spec.name) for spec in fields(full.http)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (5.0, "5"), (0.25, "0.25"), ({}, "{}"), (("a",), '["a"]'), ('a"\\', '"a\\"\\\\"')],
)
def test_values_are_written_as_toml_has_them(value: object, text: str) -> None:
    assert toml(value) == text


def test_the_documentation_says_the_same_of_every_key() -> None:
    page = Path(__file__).parents[2] / "docs" / "contract.md"
    sections = {text.partition("]")[0]: text for text in page.read_text(encoding="utf-8").split("\n## [")[1:]}
    for key, entry in KEYS.items():
        table, _, name = key.partition(".")
        if name:
            row = f"| `{name}` | {entry.what} | {entry.without or 'required'} | `{entry.example}` |"
            assert row in sections[table]
