import sys
from pathlib import Path

import pytest

from limpet import contract as contracts
from limpet.contract import Contract
from planted import scaled


def parsed(bug: str | None) -> Contract:
    return contracts.parse(scaled.contract(bug), Path("planted.toml"))


def test_times_keep_their_order() -> None:
    timing = parsed(None).timing
    assert timing.heartbeat_interval_s
    assert timing.self_fence_s
    assert timing.heartbeat_ttl_s
    assert timing.lock_wait_s
    assert timing.lock_ttl_s
    assert timing.heartbeat_interval_s < timing.self_fence_s < timing.heartbeat_ttl_s
    assert timing.lock_wait_s < timing.lock_ttl_s


def test_a_replica_is_started_with_the_bug_and_the_times() -> None:
    contract = parsed("silent-drop")
    assert contract.local
    assert contract.local.command == ("{python}", "-m", "planted.run", "silent-drop")
    assert contract.local.env["PYTHONPATH"] == scaled.PYTHON_PATH
    assert contract.settings()["BACKEND_HEARTBEAT_TTL_S"] == "7"


def test_without_a_bug_it_is_the_backend_itself() -> None:
    contract = parsed(None)
    assert contract.local
    assert contract.local.command == ("{python}", "-m", "reference_backend")


def test_all_else_is_as_in_the_contract_that_ships() -> None:
    plain, changed = contracts.load(Path(scaled.FILE)), parsed("silent-drop")
    for part in ("name", "http", "websocket", "ingress", "redis", "log", "claims"):
        assert getattr(changed, part) == getattr(plain, part)


def test_a_time_that_the_contract_does_not_have_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="0 lines like 'naps_s"):
        scaled.scaled(Path(scaled.FILE).read_text(), [sys.executable], {"naps_s": 1.0})
