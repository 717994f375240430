"""Keys are told apart by the contract's patterns alone, and ids are recognised in those that follow none."""

import pytest

from limpet.contract import Redis
from limpet.status.keys import Match, Patterns, pattern_shape, shape

ID = "7d3f0000-0000-4000-8000-000000000001"
REDIS = Redis(
    session="session:{id}",
    active="sessions:active",
    owned="backend:{instance}:sessions",
    lock="lock:session:{id}",
    also=("idempotency:*",),
)


@pytest.mark.parametrize(
    ("key", "match"),
    [
        (f"session:{ID}", Match("session", ID)),
        ("sessions:active", Match("active", "")),
        (f"backend:{ID}:sessions", Match("owned", ID)),
        (f"lock:session:{ID}", Match("lock", ID)),
        ("idempotency:once", Match("also", "once")),
        ("session:", None),
        (f"xsession:{ID}", None),
        (f"backend:{ID}:sessions:old", None),
    ],
)
def test_a_key_belongs_to_the_pattern_that_it_follows(key: str, match: Match | None) -> None:
    assert Patterns(REDIS).match(key) == match


def test_the_pattern_that_says_more_wins() -> None:
    patterns = Patterns(Redis(session="s:{id}", lock="s:{id}:lock"))
    assert patterns.match("s:1:lock") == Match("lock", "1")
    assert patterns.match("s:1") == Match("session", "1")


@pytest.mark.parametrize(
    ("key", "known", "wanted"),
    [
        (f"backend:{ID}:heartbeat", (), "backend:{}:heartbeat"),
        ("backend:blue-otter:heartbeat", ("blue-otter",), "backend:{}:heartbeat"),
        ("backend:blue-otter:heartbeat", (), "backend:blue-otter:heartbeat"),
        ("job/4711", (), "job/{}"),
        ("cafe:session", (), "cafe:session"),
    ],
)
def test_a_shape_has_no_ids(key: str, known: tuple[str, ...], wanted: str) -> None:
    assert shape(key, known) == wanted


def test_patterns_and_keys_have_the_same_shape() -> None:
    assert pattern_shape("backend:{instance}:heartbeat") == shape(f"backend:{ID}:heartbeat")
