"""What the tests of the command line share."""

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
