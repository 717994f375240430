"""The contract of the reference backend with other times and another command: what the selfcheck's stacks are made by.

Times are scaled down and keep their order: interval < self-fence < TTL; waiting for a lock < its TTL. The interval
stays at two seconds, since a heartbeat's value is whole seconds and its tolerance is a fifth of it. What the ingress is
given to follow (`pre_stop_s`) is not scaled: it is as slow as before.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from limpet import contract as contracts
from limpet import shipped

_TESTS = Path(__file__).resolve().parents[1]
PYTHON_PATH = f"{_TESTS}{os.pathsep}{_TESTS.parent}"  # planted, and the limpet and backend of this clone
FILE = shipped.contract("gadget")
PLAIN = ("{python}", "-m", "reference_backend")
TIMING = {
    "heartbeat_interval_s": 2.0,
    "heartbeat_ttl_s": 7.0,
    "self_fence_s": 5.0,
    "takeover_scan_s": 0.5,
    "lock_ttl_s": 4.0,
    "lock_wait_s": 2.0,
}


def contract(bug: str | None) -> str:
    """The text of a contract by which every replica starts with this bug of the backend, or without any."""
    command = ("{python}", "-m", "planted.run", bug) if bug else PLAIN
    return scaled(FILE.read_text(encoding="utf-8"), command, TIMING)


def claimed() -> tuple[str, ...]:
    """The guarantees that the contract claims."""
    return contracts.load(FILE).claims.guarantees


def scaled(text: str, command: Sequence[str], timing: Mapping[str, float]) -> str:
    """`text` with this command and these times. Raises ValueError where it has no line for one of them."""
    text = _put(text, r"command = .*", f"command = {json.dumps(list(command))}")
    text = _put(text, r"env = \{ ", f"env = {{ PYTHONPATH = {json.dumps(PYTHON_PATH)}, ")
    for name, seconds in timing.items():
        text = _put(text, rf"{name} = [0-9.]+", f"{name} = {seconds:g}")
    return text


def _put(text: str, old: str, new: str) -> str:
    """With `new` in place of the pattern `old`, which one line must begin with."""
    changed, count = re.subn(f"^{old}", lambda _: new, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"the contract has {count} lines like {old!r}, not one")
    return changed
