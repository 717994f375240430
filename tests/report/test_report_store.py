"""verdict.json keeps a run exactly, says what follows from it, and is refused when it is damaged or was changed."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpet.errors import LimpetError
from limpet.report.run import Run
from limpet.report.store import VERDICT_FILE, load, replace, save
from limpet.verdict import Judgement

RunOf = Callable[..., Run]


def _stored(directory: Path) -> Any:
    return json.loads((directory / VERDICT_FILE).read_bytes())


def _change(directory: Path, change: Callable[[Any], object]) -> None:
    document = _stored(directory)
    change(document)
    (directory / VERDICT_FILE).write_text(json.dumps(document))


def test_a_run_comes_back_as_it_was(every_kind: Run, tmp_path: Path) -> None:
    save(every_kind, tmp_path)
    assert load(tmp_path) == every_kind


def test_a_failed_and_interrupted_run_comes_back_as_it_was(run_of: RunOf, tmp_path: Path) -> None:
    run = run_of(error="redis: exited with 1", interrupted=True, required=("locking",))
    save(run, tmp_path)
    assert load(tmp_path) == run


def test_hostile_text_comes_back_as_it_was(hostile: Run, tmp_path: Path) -> None:
    save(hostile, tmp_path)
    assert load(tmp_path) == hostile
    (tmp_path / VERDICT_FILE).read_text(encoding="utf-8")  # lone surrogates and all, it is UTF-8


def test_the_file_says_what_follows_from_the_parts(every_kind: Run, tmp_path: Path) -> None:
    save(every_kind, tmp_path)
    stored = _stored(tmp_path)
    assert stored["exit_code"] == 1
    assert stored["counts"] == {"held": 1, "unknown": 1, "violated": 1, "unsupported": 1, "not claimed": 1}
    by_name = {row["guarantee"]: row for row in stored["guarantees"]}
    assert by_name["locking"]["verdict"] == "violated"
    assert [part["verdict"] for part in by_name["locking"]["parts"]] == ["violated", "not claimed"]
    assert by_name["locking"]["parts"][0]["findings"][0]["where"] == "history-gw0.jsonl lines 3, 4"
    assert by_name["scaling"]["reason"] == "no permission to patch deployments/scale"


def test_evidence_that_json_does_not_know_is_kept_as_text(run_of: RunOf, tmp_path: Path) -> None:
    save(run_of(Judgement("replicas", evidence={"file": Path("a/b"), "spread": math.nan})), tmp_path)
    assert load(tmp_path).judgements[0].evidence == {"file": "a/b", "spread": "NaN"}


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(LimpetError, match=r"verdict\.json: No such file.*ended before its verdict"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"7", b'{"guarantees": []}', b"{}", b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_file_is_said_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / VERDICT_FILE).write_bytes(content)
    with pytest.raises(LimpetError, match=r"verdict\.json is damaged.*limpet recheck"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(guarantees={"a": 1}),
        lambda document: document.update(guarantees=["locking"]),
        lambda document: document.update(seed="71"),
        lambda document: document["guarantees"][0]["parts"][0].update(had="many"),
        lambda document: document["guarantees"][0].update(set_to="fine"),
        lambda document: document["guarantees"][0].pop("guarantee"),
    ],
    ids=["rows in an object", "row no object", "seed as text", "count as text", "unknown verdict", "nameless"],
)
def test_a_wrong_type_is_damage(every_kind: Run, tmp_path: Path, change: Callable[[Any], object]) -> None:
    save(every_kind, tmp_path)
    _change(tmp_path, change)
    with pytest.raises(LimpetError, match="is damaged"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(exit_code=0),
        lambda document: document.pop("exit_code"),
        lambda document: document["guarantees"][2].update(verdict="held"),
        lambda document: document["guarantees"][2]["parts"][0].update(findings=[]),
        lambda document: document["guarantees"].pop(2),
    ],
    ids=["exit code", "no exit code", "verdict", "finding left out", "guarantee left out"],
)
def test_a_file_that_disagrees_with_itself_is_refused(
    every_kind: Run, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    save(every_kind, tmp_path)
    _change(tmp_path, change)
    with pytest.raises(LimpetError, match="was changed"):
        load(tmp_path)


def test_a_file_of_a_later_version_with_more_in_it_is_read(every_kind: Run, tmp_path: Path) -> None:
    save(every_kind, tmp_path)
    _change(tmp_path, lambda document: document.update(more=1))
    assert load(tmp_path) == every_kind


def test_replacing_leaves_no_draft_behind(tmp_path: Path) -> None:
    replace(tmp_path / "a", "old")
    replace(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


def test_a_file_that_cannot_be_replaced_is_said_in_words_and_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(LimpetError, match=r"cannot write .*a: Is a directory"):
        replace(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_directory_that_is_not_there_is_said_in_words(every_kind: Run, tmp_path: Path) -> None:
    with pytest.raises(LimpetError, match=r"cannot write .*verdict\.json: No such file"):
        save(every_kind, tmp_path / "gone")
