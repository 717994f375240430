"""Where the files lie that are found by path: suites, scenarios, load profiles, contracts.

In a clone they stand beside the package; in an installed wheel inside it.
"""

from pathlib import Path

from limpet.errors import LimpetError

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The shipped folder `name` ("suites", "contracts", ...). Raises LimpetError when the installation is damaged."""
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise LimpetError(f"the folder {name}/ is missing beside {_PACKAGE}; install limpet again")


def contract(name_or_path: str) -> Path:
    """The contract file that a user means: a path, or the name of a shipped one ("gadget")."""
    path = Path(name_or_path)
    shipped = folder("contracts") / f"{name_or_path}.toml"
    return shipped if not path.exists() and shipped.is_file() else path
