"""Whole judgements, written down: what a checker says in each story is said again, to the word, or a test fails.

A verdict alone lets much pass: a finding that points at another line, a count that is one too high, an expectation that
went missing. So `checkers.expect` compares everything that a user would read with `judgements/<test file>.json`, by the
name of the test. When a checker is meant to say something else:

    make judgements

writes the files again; read the difference before it is committed, for it is what users will see.
"""

import json
import os
from dataclasses import asdict
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from limpet.verdict import Judgement

FOLDER = Path(__file__).with_name("judgements")
WRITE = "LIMPET_WRITE_JUDGEMENTS"
_said = count(1)


def begin() -> None:
    """A test begins: what it judges is counted from one."""
    global _said  # noqa: PLW0603 - pytest runs one test at a time in a process
    _said = count(1)


def as_written(judgement: Judgement) -> None:
    """Compare a judgement with the one that is written down for this place of this test."""
    assert judgement.guarantee
    same(_plain(judgement))


def same(said: Any) -> None:
    """The same of anything that JSON can say."""
    test = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)")
    file, _, name = test.partition("::")
    nth = next(_said)
    place = f"{name} {nth}" if nth > 1 else name
    path = FOLDER / f"{Path(file).stem}.json"
    if os.environ.get(WRITE):
        _write(path, place, said)
    else:
        assert _read(path).get(place) == said, (
            f"not what {path.name} says of {place!r}; if it is meant: make judgements"
        )


def _plain(judgement: Judgement) -> Any:
    """What is said, without what says nothing, as JSON."""
    parts = [
        {key: value for key, value in asdict(part).items() if value not in ("", ())} | {"verdict": part.verdict}
        for part in judgement.parts
    ]
    said = {
        "verdict": judgement.verdict,
        "evidence": dict(judgement.evidence),
        "budget": judgement.budget,
        "reason": judgement.reason,
        "parts": parts,
    }
    return json.loads(json.dumps(said, default=str))


@cache
def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _write(path: Path, place: str, said: Any) -> None:
    """One line a judgement, so that a difference shows which one it is."""
    path.parent.mkdir(exist_ok=True)
    known = (json.loads(path.read_text()) if path.exists() else {}) | {place: said}
    lines = [f"{json.dumps(key)}: {json.dumps(known[key], ensure_ascii=False)}" for key in sorted(known)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
