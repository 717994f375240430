"""Stacks of the stub backend in a folder of the test's own, and looking for what they left behind."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from limpet import contract as contracts
from limpet.contract import Contract
from limpet.history import History, Line, read
from limpet.targets.local import http
from limpet.targets.local.target import LocalTarget

STUB = Path(__file__).with_name("stub_backend.py")
CONTRACT = """
name = "stub"
[http]
health = "GET /health"
ready = "GET /ready"
list = "GET /api/sessions"
create = "POST /api/sessions"
delete = "DELETE /api/sessions/{{id}}"
body = {{}}
[ingress]
cookie = "backend-session"
[log]
instance = 'Session store initialized with instance ID: (?P<instance>[0-9a-f-]{{36}})'
[timing]
pre_stop_s = 0.1
grace_period_s = 0.5
[claims]
guarantees = ["replicas"]
[local]
command = {command}
env = {env}
"""


@dataclass
class Bench:
    """Makes stacks of the stub in a folder of the test's own."""

    folder: Path
    open_histories: list[History] = field(default_factory=list)

    def contract(self, *, flags: str = "", redis: bool = False, postgres: bool = False, command: str = "") -> Contract:
        env = {"HOST": "{host}", "PORT": "{port}", "POD_NAME": "{pod}", "FLAGS": flags, "SWITCHES": str(self.folder)}
        env |= {"REDIS_PORT": "{redis_port}"} if redis else {}
        env |= {"DATABASE_URL": "{postgres_url}"} if postgres else {}
        table = "{" + ", ".join(f'{key} = "{value}"' for key, value in env.items()) + "}"
        command = command or f'["{{python}}", "{STUB}"]'
        return self.parse(CONTRACT.format(command=command, env=table))

    def parse(self, text: str) -> Contract:
        path = self.folder / "stub.toml"
        path.write_text(text)
        return contracts.load(path)

    def target(self, contract: Contract, *, replicas: int = 2, port: int | None = None) -> LocalTarget:
        number = len(self.open_histories)
        history = History(self.folder / f"history-{number}.jsonl", "replicas")
        self.open_histories.append(history)
        return LocalTarget(contract, history, self.folder / f"logs-{number}", replicas=replicas, port=port)

    def close(self) -> None:
        for history in self.open_histories:
            history.close()

    def lines(self, number: int = 0) -> list[Line]:
        self.open_histories[number].close()
        return list(read(self.folder / f"history-{number}.jsonl").lines)

    def log(self, name: str, number: int = 0) -> Path:
        return self.folder / f"logs-{number}" / f"{name}.log"


def stack_folder(target: LocalTarget) -> Path:
    """Where the running stack of this target keeps its files."""
    assert target._processes is not None
    return target._processes.folder


def guardian_pid(target: LocalTarget) -> int:
    """The outer half of the running stack's guardian, from which all else descends."""
    assert target._processes is not None
    assert target._processes._guardian is not None
    return target._processes._guardian.pid


def there_are(pids: Iterable[int]) -> list[int]:
    """Those of these processes that have not ended and been noticed."""
    return [pid for pid in pids if _state(pid)]


def state_of(pid: int) -> str:
    """`S` sleeps, `T` is stopped, ..."""
    return _state(pid).split()[1]


def environment_of(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


async def listed_by_ingress(target: LocalTarget) -> list[str]:
    """The servers that Traefik says it has, as `host:port`."""
    url = target.addresses()["routes"].removeprefix("http://")
    host, _, port = url.partition("/")[0].partition(":")
    answer = await http.get(host, int(port), "/api/http/services/backend@file", within_s=5)
    servers = json.loads(answer.body)["loadBalancer"].get("servers", [])
    return sorted(server["url"].removeprefix("http://") for server in servers)


def left_of(pids: Iterable[int], stack: Path) -> list[str]:
    """What is left of these processes, of any that carry the stack's mark, and of its folder.

    What has ended and waits for this machine's first process to take note of it has gone.
    """
    marked = set(pids) | {int(entry.name) for entry in Path("/proc").iterdir() if _marked(entry, stack.name)}
    states = {pid: _state(pid) for pid in marked}
    found = [f"{pid} {state}" for pid, state in states.items() if state and not state.endswith(" Z 1")]
    return found + ([f"{stack} exists"] if stack.exists() else [])


def _marked(entry: Path, stack: str) -> bool:
    try:
        return entry.name.isdigit() and f"LIMPET_PROCESS={stack}/".encode() in (entry / "environ").read_bytes()
    except OSError:
        return False


def _state(pid: int) -> str:
    """Name, state and parent, "" when it is gone."""
    try:
        return " ".join(Path(f"/proc/{pid}/stat").read_text().split()[1:4])
    except OSError:
        return ""
