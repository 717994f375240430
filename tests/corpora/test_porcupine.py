"""Porcupine's own test histories, with the verdicts that Porcupine's tests expect."""

from pathlib import Path

import pytest

from limpet.checkers import linearizable
from limpet.models.catalogue import MODELS
from limpet.models.given import operations
from limpet.models.porcupine import etcd_lines, kv_lines

FOLDER = Path(__file__).parent / "porcupine"
VERDICTS = dict(line.split("\t") for line in (FOLDER / "etcd" / "verdicts.tsv").read_text().splitlines())
KV = sorted(path.name for path in (FOLDER / "kv").glob("*.txt"))


def test_the_corpora_are_there_and_have_both_verdicts() -> None:
    assert len(VERDICTS) == len(list((FOLDER / "etcd").glob("*.log"))) == 52
    assert set(VERDICTS.values()) == {"true", "false"}
    assert {name.partition("-")[2] for name in KV} == {"ok.txt", "bad.txt"}
    assert (FOLDER / "LICENSE.md").exists()


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_every_etcd_history_gets_its_verdict(name: str) -> None:
    model = MODELS["cas"]
    with (FOLDER / "etcd" / name).open() as file:
        objects = model.partition(operations(etcd_lines(file, name), model, name))
    assert linearizable.check(objects, model).verdict == {"true": "legal", "false": "illegal"}[VERDICTS[name]]


@pytest.mark.parametrize("name", KV)
def test_every_kv_history_gets_its_verdict(name: str) -> None:
    model = MODELS["map"]
    with (FOLDER / "kv" / name).open() as file:
        objects = model.partition(operations(kv_lines(file, name), model, name))
    assert linearizable.check(objects, model).verdict == ("legal" if name.endswith("-ok.txt") else "illegal")
