"""Small changes to running code that fail loudly when the code they change has become another."""

import inspect
import linecache
import sys
import textwrap
from typing import Any

from reference_backend.scripts import Script


def edit_script(script: Script, old: str, new: str) -> None:
    """Change the text of a Redis script. `old` must stand in it exactly once; raises ValueError otherwise."""
    changed = Script(_once(script.body, old, new, "the script"))
    script.body, script.sha = changed.body, changed.sha


def edit(owner: Any, name: str, old: str, new: str) -> None:
    """Change the source of a function or method: of a class, or of a module and of all that imported it by name.

    Decorators are applied again. `old` must stand in it exactly once (it is looked for in the source without its
    indentation); raises ValueError otherwise.
    """
    before = inspect.getattr_static(owner, name)
    function = inspect.unwrap(getattr(before, "__func__", None) or getattr(before, "fget", None) or before)
    source = _once(textwrap.dedent(inspect.getsource(function)), old, new, name)
    file = f"<planted in {function.__module__}.{function.__qualname__}>"
    linecache.cache[file] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        file,
    )  # for tracebacks, and to edit again
    made: dict[str, Any] = {}
    # With the globals of the original, so that what it looks up stays what it was.
    exec(compile(source, file, "exec"), function.__globals__, made)  # noqa: S102 - our own source, changed on purpose
    changed = made[function.__name__]
    inner = inspect.unwrap(getattr(changed, "__func__", None) or getattr(changed, "fget", None) or changed)
    inner.__module__, inner.__qualname__ = function.__module__, function.__qualname__
    replace(owner, name, changed)


def replace(owner: Any, name: str, new: Any) -> Any:
    """Put `new` in the place of an attribute that exists, for all that imported it by name too. Gives the old one."""
    before = inspect.getattr_static(owner, name)
    if inspect.ismodule(owner):
        for module in [module for key, module in sys.modules.items() if key.startswith("reference_backend")]:
            if vars(module).get(name) is before:
                setattr(module, name, new)
    setattr(owner, name, new)
    return before


def _once(text: str, old: str, new: str, where: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{old!r} stands {text.count(old)} times in {where}, not once: the bug would not be live")
    return text.replace(old, new)
