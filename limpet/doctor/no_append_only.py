"""Redis does not write its changes to disk as they come, so a restart forgets sessions."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen


def _look(seen: Seen) -> Iterator[Cause]:
    server = seen.server()
    info = server.info
    on_disk = (
        "set `appendonly yes`, `appendfsync always` or at least `everysec`, and keep its folder on a volume that stays"
    )
    if not info.get("aof_enabled"):
        save = server.config.get("save")
        evidence = ["INFO persistence: aof_enabled is 0", f"it has been up for {info.get('uptime_in_seconds')} s"]
        if save is None:
            after = "what came after its last snapshot, if there are any,"
        elif save:
            after = "what came after its last snapshot"
            evidence.append(
                f"snapshots: save {save}; changes since the last one: {info.get('rdb_changes_since_last_save')}"
            )
        else:
            after = "everything"
            evidence.append("no snapshots either: save is empty")
        yield Cause(
            EXAMINATION.name, frozenset({"appendonly"}), f"A restart of Redis loses {after}", tuple(evidence), on_disk
        )
    elif info.get("aof_last_write_status") not in ("ok", None):
        status = info["aof_last_write_status"]
        yield Cause(
            EXAMINATION.name,
            frozenset({"append-only file"}),
            "Redis cannot write its append-only file",
            (f"INFO persistence: aof_last_write_status is {status}",),
            "see that its disk has space and can be written",
        )


EXAMINATION = Examination("no append-only file", "sessions are gone after a restart", _look)
