"""This machine's sockets, and what happened to TCP connections between two looks at them."""

import contextlib
import os
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import psutil

from reference_backend.sources.processes import Event, common, describe, network_id

Kind = Literal["connect", "accept", "close"]

# Between the handshake and this side's close; CLOSE_WAIT: only the other side has closed.
_OPEN = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}
_NOT_YET = {psutil.CONN_SYN_SENT, psutil.CONN_SYN_RECV, psutil.CONN_LISTEN, psutil.CONN_NONE}
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with
_MAPPED = "::ffff:"
_INODE = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection."""

    addr: str
    port: int


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket at one moment: `src` is its own end; `pid` is 0 and `fd` -1 where nobody known holds it."""

    proto: str
    src: End
    dst: End
    state: str
    pid: int
    fd: int

    @property
    def version(self) -> int:
        """4 or 6, of the Internet Protocol."""
        return 6 if ":" in self.src.addr else 4


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to this connection."""

    kind: Kind
    socket: Socket


def read() -> list[Socket]:
    """All TCP and UDP sockets of this network namespace."""
    return [_socket(one) for one in psutil.net_connections("inet")]


class Watched:
    """TCP connections as they stood at the last look.

    A connection that began and ended between two looks is seen while the kernel remembers it (TIME_WAIT). One that was
    refused never stands in the table, so failed connects are not seen. One that is established belongs to nobody until
    it is accepted: it is told of at the next look, when its process is known.
    """

    def __init__(self, sockets: Iterable[Socket]) -> None:
        self._known: dict[tuple[End, End], Socket] = {}
        self._listening: set[End] = set()
        self._unowned: dict[tuple[End, End], Socket] = {}
        for _ in self.look(sockets):
            pass
        self._known |= self._unowned
        self._unowned = {}

    def look(self, sockets: Iterable[Socket]) -> Iterator[Change]:
        """What changed since the last look: what began first, then what ended."""
        tcp = [one for one in sockets if one.proto == "TCP"]
        listening = {one.src for one in tcp if one.state == psutil.CONN_LISTEN}
        # One that stopped listening meanwhile may have accepted before.
        either = listening | self._listening
        now = {(one.src, one.dst): one for one in tcp if one.state not in _NOT_YET}
        before, unowned = self._known, self._unowned
        new = {key: one for key, one in now.items() if key not in before and key not in unowned}
        self._unowned = {key: one for key, one in new.items() if not one.pid and _open(one)}
        now = {key: one for key, one in now.items() if key not in self._unowned}
        self._known, self._listening = now, listening
        for one in (one for key, one in unowned.items() if key not in now):
            yield Change("accept" if _accepted(one, either) else "connect", one)
            yield Change("close", one)
        for key, one in now.items():
            known = before.get(key)
            if known is None or (_open(one) and not _open(known)):
                yield Change("accept" if _accepted(one, either) else "connect", one)
            if not _open(one) and (known is None or _open(known)):
                yield Change("close", known or one)
        for key, one in before.items():
            if key not in now and _open(one):
                yield Change("close", one)


def trace(changes: Iterable[Change], at_s: float) -> list[Event]:
    """The events of `trace_tcp`."""
    procs: dict[int, Event] = {}
    found = []
    for change in changes:
        one = change.socket
        proc = procs.get(one.pid) or procs.setdefault(one.pid, describe(one.pid))
        own = {
            "type": change.kind,
            "error": "",
            "fd": -1 if change.kind == "accept" else one.fd,
            "accept_fd": one.fd if change.kind == "accept" else -1,
        }
        found.append(common(proc, at_s) | own | _ends(one))
    return found


def snapshot(sockets: Iterable[Socket], at_s: float) -> list[Event]:
    """The rows of `snapshot_socket`."""
    procs: dict[int, Event] = {}
    rows = []
    for one in sockets:
        proc = procs.get(one.pid) or procs.setdefault(one.pid, describe(one.pid))
        rows.append(common(proc, at_s) | {"state": one.state, "ino": _inode(one)} | _ends(one))
    return rows


def _socket(one: Any) -> Socket:
    proto = "TCP" if one.type == socket.SOCK_STREAM else "UDP"
    anywhere = "::" if one.family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - nothing is bound here
    src, dst = (End(end.ip.removeprefix(_MAPPED), end.port) if end else End("", 0) for end in (one.laddr, one.raddr))
    if not dst.addr:
        dst = End("0.0.0.0" if src.addr and ":" not in src.addr else anywhere, 0)  # noqa: S104
    state = one.status
    if proto == "UDP":  # the kernel's own two states of such sockets
        state = psutil.CONN_ESTABLISHED if one.raddr else psutil.CONN_CLOSE
    return Socket(proto, src if src.addr else End(anywhere, 0), dst, state, one.pid or 0, one.fd)


def _open(one: Socket) -> bool:
    return one.state in _OPEN


def _accepted(one: Socket, listening: set[End]) -> bool:
    return one.src in listening or any(End(anywhere, one.src.port) in listening for anywhere in _ANYWHERE)


def _ends(one: Socket) -> Event:
    nobody = {"kind": "raw", "name": "", "namespace": "", "labels": ""}
    src, dst = (
        {"addr": end.addr, "port": end.port, "proto": one.proto, "version": one.version, "k8s": nobody}
        for end in (one.src, one.dst)
    )
    return {"src": src, "dst": dst, "netns_id": network_id()}


def _inode(one: Socket) -> int:
    if one.pid and one.fd >= 0:
        with contextlib.suppress(OSError):
            found = _INODE.fullmatch(os.readlink(f"/proc/{one.pid}/fd/{one.fd}"))  # noqa: PTH115 - once for each socket
            return int(found[1]) if found else 0
    return 0
