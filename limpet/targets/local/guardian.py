"""The process that starts all of a stack's processes and ends them, whoever dies first.

Run by file path as `python -I -S guardian.py CONTROL_FD STACK HARNESS_PID OWNER_PID`, standard library only, so that it
stands within some 40 ms. It makes the folder STACK, starts what the harness asks for over CONTROL_FD (JSON lines), and
tells of every exit. When the harness or the process that the user started (OWNER_PID) ends, by whatever signal, it ends
every descendant, stopped ones too, and removes STACK.

It is two processes, so that SIGKILL of either does the same. Both are subreapers: what a dead process leaves behind is
handed to the nearest of them, so "no child left" means "no descendant left". The inner one spawns. If the inner one
dies, its children fall to the outer one; if the outer one dies, the inner one notices; each then ends everything.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":  # isolated as it is, it finds its own package by path
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from limpet.targets.local.descendants import (
    belongs,
    children_of,
    drop_root,
    end_all,
    lives,
    prctl,
    reap,
    remove,
    send,
    send_group,
    watch,
    with_descendants,
)

INNER_GRACE_S = 0.8  # what the outer process gives the inner one to end everything by itself
OWNER_CHECK_MS = 200  # where the end of a process cannot be waited for by a file descriptor


def spawn(order: dict[str, Any]) -> tuple[int, int]:
    """Start a process in a session of its own; its pid and where its log began. Raises OSError if it cannot be."""
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    offset = os.fstat(log).st_size
    told, tell = os.pipe()  # closed by a successful exec
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        become(order, log, tell, parent)
    os.close(log)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        refused = pipe.read()
    if refused:
        number, _, text = refused.decode().partition(" ")
        raise OSError(int(number), text)
    return pid, offset


def become(order: dict[str, Any], log: int, tell: int, parent: int) -> NoReturn:
    """In the new process: turn into what was ordered, or tell why not."""
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and that would be inherited
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(order["cwd"])
        if order["unprivileged"] and os.geteuid() == 0:
            drop_root(order["unprivileged"])
        prctl(1, order["death_signal"])  # after the change of user, which clears it
        if os.getppid() == parent:
            os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(tell, f"{error.errno} {error.strerror}".encode())
    finally:
        os._exit(127)


class Inner:
    """Starts, signals and reaps for the harness until there is nobody left to do it for."""

    def __init__(self, control: socket.socket, stack: Path) -> None:
        self.control = control
        self.stack = stack
        self.inbox = b""
        self.outbox = b""
        self.running: dict[int, str] = {}  # pid -> the mark in its environment
        self.asked_to_end = False

    def leave(self, *_: object) -> None:
        """End the stack as soon as possible; the handler of SIGTERM."""
        self.asked_to_end = True

    def serve(self, ends: list[int], timeout_ms: int | None, alive: list[int]) -> None:
        """Until the control connection or one of the descriptors `ends` says that it is over."""
        self.control.setblocking(False)  # noqa: FBT003 - takes no name
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self.leave)
        self.tell(event="hello", pid=os.getpid())
        while True:
            poll = select.poll()
            poll.register(self.control, select.POLLIN | (select.POLLOUT if self.outbox else 0))
            for end in (woken, *ends):
                poll.register(end, select.POLLIN)
            ready = dict(poll.poll(timeout_ms))
            if self.asked_to_end or any(end in ready for end in ends) or not all(map(lives, alive)):
                return
            if woken in ready:
                os.read(woken, 4096)
                self.reap()
            if self.control.fileno() in ready and not self.exchange():
                return

    def exchange(self) -> bool:
        """Read and write what can be; False once the harness has closed its side."""
        try:
            if self.outbox:
                self.outbox = self.outbox[self.control.send(self.outbox) :]
            data = self.control.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        *orders, self.inbox = (self.inbox + data).split(b"\n")
        for order in orders:
            self.obey(json.loads(order))
        return bool(data)

    def tell(self, **event: Any) -> None:
        """Send an event to the harness as soon as it takes it."""
        self.outbox += json.dumps(event).encode() + b"\n"

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order."""
        if order["do"] == "spawn":
            mark = f"{self.stack.name}/{order['id']}"
            order["env"]["LIMPET_PROCESS"] = mark
            try:
                pid, offset = spawn(order)
            except OSError as error:
                self.tell(event="refused", id=order["id"], reason=f"{error.strerror}")
                return
            self.running[pid] = mark
            self.tell(event="spawned", id=order["id"], pid=pid, offset=offset)
        elif order["pid"] in self.running:
            self.signal(order["pid"], order["signal"], tree=order["tree"])
        else:
            return

    def signal(self, pid: int, number: int, *, tree: bool) -> None:
        """Signal a process, or with it all below it, those that are forked meanwhile included."""
        done: set[int] = set()
        while todo := [one for one in (with_descendants(pid) if tree else [pid]) if one not in done]:
            send(todo, number)
            done.update(todo)
        if tree:
            send_group(pid, number)

    def reap(self) -> None:
        """Tell of processes that ended, after ending what they left behind."""
        with contextlib.suppress(ChildProcessError):
            for pid, status in reap():
                mark = self.running.pop(pid, None)
                if mark:
                    self.end_orphans(pid, mark)
                    self.tell(event="exited", pid=pid, status=status)

    def end_orphans(self, leader: int, mark: str) -> None:
        """SIGKILL what a process left behind, as the end of a container's first process does, and wait for it."""
        send_group(leader, signal.SIGKILL)
        for _ in range(200):
            orphans = [
                pid for pid in children_of(os.getpid()) if pid not in self.running and belongs(pid, leader, mark)
            ]
            if not orphans:
                return
            for orphan in orphans:
                send(with_descendants(orphan), signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, os.WNOHANG)
            select.poll().poll(1)


class AskedToEndError(Exception):
    """SIGTERM: whoever stops all processes at once means the stack, too."""


def ask(*_: object) -> NoReturn:
    """The outer half's handler of SIGTERM."""
    raise AskedToEndError


def main(control_fd: int, stack: Path, harness: int, owner: int) -> None:
    """Fork into two, and let each wait for the end of the other and of whom they work for."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    prctl(36, 1)
    stack.mkdir(mode=0o700)
    watched: list[int] = []
    polled: list[int] = []
    try:
        for pid in (harness, owner):
            fd = watch(pid)
            watched += [fd] if fd is not None else []
            polled += [pid] if fd is None else []
    except ProcessLookupError:
        remove(stack)
        return
    timeout_ms = OWNER_CHECK_MS if polled else None
    outer_end, inner_end = socket.socketpair()
    control = socket.socket(fileno=control_fd)
    outer = os.getpid()
    inner = os.fork()
    if not inner:
        prctl(36, 1)  # not inherited
        outer_end.close()
        Inner(control, stack).serve([inner_end.fileno(), *watched], timeout_ms, polled)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        send([outer], signal.SIGCONT)
        end_all(stack)
        os._exit(0)
    control.close()
    inner_end.close()
    poll = select.poll()
    for end in (outer_end.fileno(), *watched):
        poll.register(end, select.POLLIN)
    signal.signal(signal.SIGTERM, ask)
    try:
        while not poll.poll(timeout_ms) and all(map(lives, polled)):
            pass
    except AskedToEndError:
        outer_end.shutdown(socket.SHUT_WR)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    last = select.poll()
    last.register(outer_end, select.POLLIN)
    last.poll(int(INNER_GRACE_S * 1000))  # until the inner one is done; it may be stopped, or have been killed
    end_all(stack)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
