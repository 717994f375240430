"""Runs that have every kind of verdict, remark and finding, and hostile text where a backend can put it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from limpet.report.run import Run
from limpet.verdict import Finding, Judgement, Part, Verdict

HOSTILE = "<script>alert(1)</script> & \x1b[31m \x00 ]]> | `x` @team \ud800 \u202e ünïcode ✓"


def held(guarantee: str = "replicas") -> Judgement:
    parts = (Part("serve", "instances", 2, 2), Part("restarts", "pods", 2, 2))
    return Judgement(guarantee, parts, {"instances": 2, "requests": 1200, "slowest_ms": 41.25}, "", duration_s=2.31)


def violated(*findings: Finding) -> Judgement:
    some = findings or (
        Finding(
            "exclusion",
            "one holder at a time",
            "backend-1 committed session 7d3 at 8.214 s with fence 4, after fence 5 was handed to backend-2 at 8.102 s",
            "history-gw0.jsonl lines 3, 4",
        ),
    )
    parts = (Part("exclusion", "holds", 300, 300, some), Part("fence", missing="the contract has no redis.fence"))
    return Judgement("locking", parts, {"interleavings": 300}, "lock TTL 10 s", duration_s=75.2)


def unknown() -> Judgement:
    return Judgement("session-record", (Part("keys", "sessions", 12, 50),), {"sessions": 12}, duration_s=4.0)


def unsupported() -> Judgement:
    return Judgement("scaling", reason="no permission to patch deployments/scale", set_to=Verdict.UNSUPPORTED)


def not_claimed(guarantee: str = "continuity") -> Judgement:
    return Judgement(guarantee, reason="the contract does not claim it", set_to=Verdict.NOT_CLAIMED)


def a_run(*judgements: Judgement, **changes: object) -> Run:
    run = Run(
        what="verify",
        version="0.1.0",
        seed=71,
        contract="gadget",
        contract_path="contracts/gadget.toml",
        target="local",
        replicas=2,
        started="2026-11-23T20:41:37Z",
        duration_s=81.51,
        judgements=judgements,
        required=(),
        command="limpet verify --seed 71",
    )
    return replace(run, **changes)  # type: ignore[arg-type]  # any field


RunOf = Callable[..., Run]


@pytest.fixture
def run_of() -> RunOf:
    """`run_of(*judgements, **changes)`."""
    return a_run


@pytest.fixture
def rows() -> Mapping[str, Judgement]:
    """One judgement of each verdict."""
    judgements = (held(), unknown(), violated(), unsupported(), not_claimed())
    return {str(judgement.verdict): judgement for judgement in judgements}


@pytest.fixture
def every_kind(rows: Mapping[str, Judgement]) -> Run:
    return a_run(*rows.values())


@pytest.fixture
def hostile_text() -> str:
    return HOSTILE


@pytest.fixture
def hostile() -> Run:
    finding = Finding(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    parts = (
        Part(HOSTILE, HOSTILE, 1, 2, (finding,)),
        Part(HOSTILE, HOSTILE, 1, 2, missing=HOSTILE),
        Part(HOSTILE, doubt=HOSTILE),
    )
    row = Judgement(HOSTILE, parts, {HOSTILE: HOSTILE, "nested": {"a": [1, HOSTILE]}}, HOSTILE, HOSTILE)
    doubtful = Judgement("b", reason=HOSTILE, set_to=Verdict.UNKNOWN)
    away = Judgement("c", reason=HOSTILE, set_to=Verdict.UNSUPPORTED)
    texts = {"contract": HOSTILE, "contract_path": HOSTILE, "target": HOSTILE, "command": HOSTILE, "error": HOSTILE}
    return a_run(row, doubtful, away, required=(HOSTILE,), **texts)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A run directory with a whole history to which the finding of `every_kind` points."""
    lines = (
        '{"t":1000000000,"type":"begin","op":"locking"}',
        '{"t":1100000000,"type":"pod","op":"ready","data":{"name":"backend-1","phase":"ready","restarts":0}}',
        '{"t":1500000000,"type":"invoke","op":"commit","process":1,"session":"7d3"}',
        '{"t":1750000000,"type":"ok","op":"commit","process":1,"session":"7d3","data":{"fence":"<4>"}}',
        '{"t":2000000000,"type":"end","op":"locking","data":{"lines":3}}',
    )
    (tmp_path / "history-gw0.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path
