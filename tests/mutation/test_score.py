"""The score of a mutation run, from the exit codes that mutmut stores."""

import pytest
from mutation.score import Score, only_wording, score, table

STORED = {"a": 1, "b": 1, "c": 1, "d": 0, "e": 0, "f": 36, "g": 33, "h": None, "i": -11}


def diff(old: str, new: str) -> str:
    return f"--- limpet/a.py\n+++ limpet/a.py\n@@ -1,2 +1,2 @@\n def f():\n-    {old}\n+    {new}\n"


def test_each_mutant_is_counted_once() -> None:
    found, survivors = score(STORED, lambda name: name == "e")
    assert found == Score(killed=3, survived=1, wording=1, timeouts=1, unreached=1, not_run=1, other=1)
    assert survivors == ["d"]


def test_only_killed_and_survived_make_the_score() -> None:
    found, _ = score(STORED, lambda name: name == "e")
    assert found.percent == 75


def test_a_module_that_was_not_run_has_no_score() -> None:
    found, _ = score({"a": None}, lambda _: False)
    assert found.percent is None


def test_a_sentence_that_changed_is_wording() -> None:
    assert only_wording(diff('part.doubt = "nobody looked"', 'part.doubt = "XXnobody lookedXX"'))
    assert only_wording(diff('part.doubt = "nobody looked"', 'part.doubt = "NOBODY LOOKED"'))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('if kind == "set":', 'if kind == "XXsetXX":'),
        ('if kind == "set":', 'if kind != "set":'),
        ('part.doubt = "nobody looked"', "part.doubt = None"),
        ('find("a b", at + 1)', 'find("a b", at - 1)'),
    ],
)
def test_a_name_or_an_operator_that_changed_is_not(old: str, new: str) -> None:
    assert not only_wording(diff(old, new))


def test_the_table_tells_modules_that_were_not_run_from_those_that_were() -> None:
    shown = table({"checkers.cell": Score(killed=9, survived=1), "models.mutex": Score(not_run=5)})
    assert "checkers.cell       9         1  90.0 %" in shown
    assert "total               9         1  90.0 %" in shown
    assert shown.endswith("not run at all: models.mutex")
