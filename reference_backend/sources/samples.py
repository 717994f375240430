"""Invented events in the shape of Inspektor Gadget 0.55, one for each type of gadget.

Ports, pids, names and addresses vary with the event's number, so that a list of events looks alive and every run is the
same.
"""

from typing import Any

from reference_backend.session import Session

Event = dict[str, Any]

_NAMES = ("fake.test.com.", "apples.demo.svc.cluster.local.", "example.com.")
_FILES = ("/etc/hosts", "/etc/resolv.conf", "/proc/self/status", "/var/lib/app/data.db")
_COMMANDS = ("/bin/sh -c ls", "/usr/bin/curl -s http://apples:8080", "/bin/cat /etc/hosts")
_SIGNALS = ("SIGTERM", "SIGKILL", "SIGUSR1")
_TCP = ("connect", "accept", "close")
_NETNS = 4026535383


def _common(session: Session, n: int, timestamp: str, timestamp_ns: int) -> Event:
    pod, container = session.podName or "apples-6d4f5b7c9-x2x7k", session.containerName or "app"
    return {
        "n": n,
        "timestamp": timestamp,
        "timestamp_raw": timestamp_ns,
        "k8s": {
            "node": "node-1",
            "namespace": session.namespace,
            "podName": pod,
            "podLabels": "app=apples",
            "containerName": container,
            "owner": {"kind": "Deployment", "name": "apples"},
        },
        "runtime": {
            "runtimeName": "containerd",
            "containerId": "8e2cf0ba2a3a",
            "containerName": container,
            "containerPid": 4711,
            "containerImageName": "docker.io/library/apples:1",
        },
        "proc": {
            "comm": "apples",
            "pid": 5000 + n % 1000,
            "tid": 5000 + n % 1000,
            "mntns_id": 4026535380,
            "creds": {"uid": 1000, "gid": 1000},
            "parent": {"comm": "containerd-shim", "pid": 4700},
        },
    }


def _endpoint(session: Session, addr: str, port: int) -> Event:
    pod = session.podName or "apples-6d4f5b7c9-x2x7k"
    k8s = {"kind": "pod", "name": pod, "namespace": session.namespace, "labels": "app=apples"}
    return {"addr": addr, "port": port, "proto": "TCP", "version": 4, "k8s": k8s}


def _ends(session: Session, n: int) -> Event:
    return {
        "src": _endpoint(session, "10.42.0.15", 32768 + n % 28000),
        "dst": _endpoint(session, f"10.42.1.{n % 250 + 1}", 8080),
        "netns_id": _NETNS,
    }


def _tcp(session: Session, n: int) -> Event:
    wanted = session.parameters
    kind = "accept" if wanted.get("acceptOnly") else "connect" if wanted.get("connectOnly") else _TCP[n % 3]
    error = "ECONNREFUSED" if wanted.get("failureOnly") else ""
    return {"type": kind, "error": error, "fd": 3, "accept_fd": 4 if kind == "accept" else -1} | _ends(session, n)


def _dns(session: Session, n: int) -> Event:
    answer = n % 2 == 0
    return {
        "nameserver": {"addr": "10.43.0.10", "version": 4},
        "id": f"{n % 65536:04x}",
        "qr": "R" if answer else "Q",
        "qtype": "A",
        "rcode": "Success" if answer else "",
        "name": _NAMES[n % len(_NAMES)],
        "addresses": "1.2.3.4,5.6.7.8" if answer else "",
        "latency_ns_raw": 1_250_000 if answer else 0,
    } | _ends(session, n)


def _exec(session: Session, n: int) -> Event:
    args = _COMMANDS[n % len(_COMMANDS)]
    paths = {"cwd": "/", "exepath": args.split(" ", 1)[0]} if session.parameters.get("paths") else {}
    return {"args": args, "error": "", "loginuid": 0, "sessionid": 1, "upper_layer": False} | paths


def _open(_session: Session, n: int) -> Event:
    return {"fd": 3, "error": "", "flags": "O_RDONLY", "mode": "----------", "fname": _FILES[n % len(_FILES)]}


def _sni(_session: Session, n: int) -> Event:
    return {"name": _NAMES[n % len(_NAMES)].rstrip("."), "netns_id": _NETNS}


def _signal(_session: Session, n: int) -> Event:
    return {"sig": _SIGNALS[n % len(_SIGNALS)], "tpid": 5000 + n % 1000, "error": ""}


def _oomkill(_session: Session, n: int) -> Event:
    return {"tcomm": "apples", "tpid": 5000 + n % 1000, "pages": 262144}


def _socket(session: Session, n: int) -> Event:
    return {"state": "ESTABLISHED", "ino": 12345 + n} | _ends(session, n)


def _toptcp(session: Session, n: int) -> Event:
    return {"sent_raw": 1500 * n, "received_raw": 9000 * n} | _ends(session, n)


def _topfile(_session: Session, n: int) -> Event:
    return {
        "reads": n % 7,
        "writes": n % 5,
        "rbytes_raw": 4096,
        "wbytes_raw": 512,
        "file": _FILES[n % len(_FILES)],
        "t": "R",
    }


def _topprocess(_session: Session, n: int) -> Event:
    return {"cpuUsage": n % 100, "memoryRSS": 10_485_760, "state": "R"}


def _cpu(_session: Session, n: int) -> Event:
    return {"samples": 10 + n % 90, "user_stack": "main; serve; read", "kernel_stack": "do_syscall_64; ksys_read"}


_OWN = {
    "tcp": _tcp,
    "dns": _dns,
    "exec": _exec,
    "open": _open,
    "sni": _sni,
    "signal": _signal,
    "oomkill": _oomkill,
    "process": lambda _session, _n: {},
    "socket": _socket,
    "toptcp": _toptcp,
    "topfile": _topfile,
    "topprocess": _topprocess,
    "cpu": _cpu,
}


def sample(session: Session, event_type: str, n: int, timestamp: str, timestamp_ns: int) -> Event:
    """The event number `n` of a session; `timestamp` (RFC 3339) and `timestamp_ns` are when it was due."""
    return _common(session, n, timestamp, timestamp_ns) | _OWN[event_type](session, n)
