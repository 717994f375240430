"""Which gadgets really run in a replica, as its entry in the answer of `http.instances` says."""

from typing import Any

from limpet.contract import Contract


def running(item: Any, contract: Contract) -> set[str] | None:
    """The sessions whose gadgets run in a replica, as its entry says; None where it does not say."""
    values = [item]
    for key in (contract.http.running or "").split("."):
        several = [one for value in values for one in (value if isinstance(value, list) else [value])]
        if not all(isinstance(one, dict) and key in one for one in several):
            return None
        values = [one[key] for one in several]
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return {one for one in flat if isinstance(one, str)}
