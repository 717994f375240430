"""What the tests of the command line share."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """A command that came to its end."""

    code: int
    out: str
    err: str


Limpet = Callable[..., Ended]
Start = Callable[..., "subprocess.Popen[str]"]


def environment() -> dict[str, str]:
    """Without what the surrounding pytest has set for its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LIMPET_"))}
