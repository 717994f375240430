"""The table of planted bugs: what each is called, what must catch it, and how it is put in.

A bug is a function that patches the reference backend in a running process, before its main begins; the backend itself
has no switch. Bugs of the ingress patch the harness's Traefik instead, and stand in modules of their own
(`bugs/ingress*.py`), so that no replica loads the harness.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from limpet.contract import GUARANTEES

Where = Literal["backend", "ingress"]
Plant = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug.

    Attributes:
        name: as on the command line: `release-without-token`.
        caught_by: the guarantee that must be violated.
        unrelated: a guarantee that must stay held.
        also: guarantees that may rightly be violated too; the docstring of the bug argues why.
        where: what is patched.
        story: what is wrong, as found in the field.
        plant: puts it in.
        module: where it stands.
    """

    name: str
    caught_by: str
    unrelated: str
    also: tuple[str, ...]
    where: Where
    story: str
    plant: Plant
    module: str


BUGS: dict[str, Bug] = {}


def plant(
    *, caught_by: str, unrelated: str, also: tuple[str, ...] = (), where: Where = "backend"
) -> Callable[[Plant], Plant]:
    """Register the function as a bug, under its name with dashes."""
    for guarantee in (caught_by, unrelated, *also):
        if guarantee not in GUARANTEES:
            raise ValueError(f"there is no guarantee {guarantee!r}; there are: {', '.join(GUARANTEES)}")
    if unrelated in (caught_by, *also):
        raise ValueError(f"{unrelated} cannot be unrelated and blamed")

    def register(function: Plant) -> Plant:
        name = function.__name__.replace("_", "-")
        if name in BUGS:
            raise ValueError(f"two bugs are called {name}: {BUGS[name].module} and {function.__module__}")
        story = (function.__doc__ or "").strip()
        if not story:
            raise ValueError(f"{name} has no docstring that says what is wrong")
        BUGS[name] = Bug(name, caught_by, unrelated, also, where, story, function, function.__module__)
        return function

    return register


def load(where: Where | None = None) -> dict[str, Bug]:
    """All bugs, or those of one place, sorted by name."""
    bugs = importlib.import_module("planted.bugs")
    for module in pkgutil.iter_modules(bugs.__path__):
        if where is None or module.name.startswith("ingress") is (where == "ingress"):
            importlib.import_module(f"planted.bugs.{module.name}")
    return {name: bug for name, bug in sorted(BUGS.items()) if where in (None, bug.where)}


def put_in(name: str, where: Where) -> None:
    """Plant the bug of this name. Raises SystemExit when there is none there."""
    bugs = load(where)
    if name not in bugs:
        raise SystemExit(f"planted: there is no bug {name!r} of the {where}; there are: {', '.join(bugs)}")
    bugs[name].plant()
