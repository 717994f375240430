"""Bugs of the history: what is written into it, and how it is read again."""

from types import ModuleType

from planted.base import plant
from planted.patching import edit, replace
from reference_backend.history import reader, schema
from reference_backend.history.writer import Writer
from reference_backend.replica import Replica


@plant(caught_by="history", unrelated="session-record")
def history_written_twice() -> None:
    """Events have no unique key in the history, and every third time they are written twice."""
    _edit_text(schema, "EVENTS", ",\n  primary key (session_id, stream, seq{time})", "")
    write = "await connection.execute(INSERT_EVENTS, *columns)"
    edit(Writer, "_insert", write, f"{write}\n        if self.written % 3 == 0:\n            {write}")


@plant(caught_by="history", unrelated="replicas")
def history_without_tail() -> None:
    """The history is written every so often while a gadget runs; what came after the last time is never written."""
    edit(Writer, "catch_up", "for session_id in ids:", "if not own:\n        return {}\n    for session_id in ids:")
    init = Replica.__init__

    def init_and_forget(self: Replica, *args: object) -> None:
        init(self, *args)  # type: ignore[arg-type]
        stop = self.runner.stop

        async def stop_and_forget(session_id: str, within_s: float) -> bool:
            stopped = await stop(session_id, within_s)
            self.writer._dirty.pop(session_id, None)
            return stopped

        self.runner.stop = stop_and_forget  # type: ignore[method-assign]  # planting it is the point

    replace(Replica, "__init__", init_and_forget)


@plant(caught_by="history", unrelated="stickiness")
def replay_in_another_order() -> None:
    """A replay orders events by their numbers as text: 1, 10, 11, 2."""
    _edit_text(reader, "PAGE", "order by stream, seq limit", "order by stream, seq::text limit")


def _edit_text(module: ModuleType, name: str, old: str, new: str) -> None:
    """Change a text of a module; `old` must stand in it exactly once."""
    text: str = getattr(module, name)
    if text.count(old) != 1:
        raise ValueError(f"{old!r} stands {text.count(old)} times in {module.__name__}.{name}, not once")
    replace(module, name, text.replace(old, new))
