"""This machine's processes, and the part of an event that says which process it is about."""

import contextlib
import os
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import psutil

from reference_backend.session import NS_PER_S, rfc3339

Event = dict[str, Any]

_READ = ["pid", "ppid", "name", "uids", "gids", "status", "create_time", "cpu_times", "memory_info", "num_threads"]
_STATES = {
    psutil.STATUS_RUNNING: "R",
    psutil.STATUS_SLEEPING: "S",
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
    psutil.STATUS_IDLE: "I",
}

_NOBODY = {
    "comm": "",
    "pid": 0,
    "tid": 0,
    "mntns_id": 0,
    "creds": {"uid": 0, "gid": 0},
    "parent": {"comm": "", "pid": 0},
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process at one moment.

    Attributes:
        created_s: Unix seconds; with the process id it names a process for good.
        cpu_s: processor time that it has used.
        state: a letter, as `ps` has it.
        proc: how events name it.
    """

    pid: int
    created_s: float
    cpu_s: float
    resident_bytes: int
    virtual_bytes: int
    threads: int
    state: str
    proc: Event


def read() -> list[Process]:
    """All processes that can be seen. What may not be read of them is 0 or empty."""
    found = {one.info["pid"]: one.info for one in psutil.process_iter(_READ)}
    return [_process(info, (found.get(info["ppid"]) or {}).get("name") or "") for info in found.values()]


def describe(pid: int) -> Event:
    """How events name the process `pid`; 0 stands for one that is not known."""
    try:
        if pid:
            info = psutil.Process(pid).as_dict(_READ)
            with contextlib.suppress(psutil.Error):
                return _process(info, psutil.Process(info["ppid"]).name()).proc
            return _process(info, "").proc
    except psutil.Error:
        pass  # it has ended since
    return _NOBODY | {"pid": pid, "tid": pid}


def common(proc: Event, at_s: float) -> Event:
    """What all events have; nothing on this machine says which pod a process is of, so those fields are empty."""
    return {
        "timestamp": rfc3339(at_s),
        "timestamp_raw": int(at_s * NS_PER_S),
        "k8s": {
            "node": os.uname().nodename,
            "namespace": "",
            "podName": "",
            "podLabels": "",
            "containerName": "",
            "owner": {"kind": "", "name": ""},
        },
        "runtime": {
            "runtimeName": "",
            "containerId": "",
            "containerName": "",
            "containerPid": 0,
            "containerImageName": "",
        },
        "proc": proc,
    }


def snapshot(processes: list[Process], at_s: float) -> list[Event]:
    """The rows of `snapshot_process`."""
    return [common(process.proc, at_s) for process in processes]


def top(before: list[Process], after: list[Process], elapsed_s: float, rows: int) -> list[Event]:
    """The rows of `top_process`: those that used most of one processor's time, in per cent of it."""
    used = {(process.pid, process.created_s): process.cpu_s for process in before}
    usage = [
        (100 * max(0.0, process.cpu_s - used.get((process.pid, process.created_s), 0.0)) / elapsed_s, process)
        for process in after
    ]
    usage.sort(key=lambda one: (-one[0], one[1].pid))
    at_s = time.time()
    return [
        common(process.proc, at_s)
        | {
            "cpuUsage": round(percent, 1),
            "memoryRSS": process.resident_bytes,
            "memoryVirtual": process.virtual_bytes,
            "threadCount": process.threads,
            "state": process.state,
        }
        for percent, process in usage[:rows]
    ]


def namespace_id(pid: int | str, kind: str) -> int:
    """The inode of a process's namespace, 0 where there is none or it may not be read."""
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino  # noqa: PTH116 - once for each process of the machine
    return 0


@cache
def network_id() -> int:
    """The inode of this process's network namespace, whose sockets it sees."""
    return namespace_id("self", "net")


def _process(info: dict[str, Any], parent: str) -> Process:
    cpu, memory, uids, gids = info["cpu_times"], info["memory_info"], info["uids"], info["gids"]
    pid = info["pid"]
    return Process(
        pid=pid,
        created_s=info["create_time"] or 0.0,
        cpu_s=cpu.user + cpu.system if cpu else 0.0,
        resident_bytes=memory.rss if memory else 0,
        virtual_bytes=memory.vms if memory else 0,
        threads=info["num_threads"] or 0,
        state=_STATES.get(info["status"], "?"),
        proc={
            "comm": info["name"] or "",
            "pid": pid,
            "tid": pid,
            "mntns_id": namespace_id(pid, "mnt"),
            "creds": {"uid": uids.real if uids else 0, "gid": gids.real if gids else 0},
            "parent": {"comm": parent, "pid": info["ppid"] or 0},
        },
    )
