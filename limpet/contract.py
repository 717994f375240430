"""What a backend offers and claims, read from one TOML file. Everything the harness knows of a backend stands here.

`load` turns a file into a frozen `Contract`. A key that is left out is None: "not offered". A mistake is a
`ContractError` that names the key and says what to write instead.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from limpet.errors import ContractError
from limpet.tables import build, near

GUARANTEES = (
    "replicas",
    "identity",
    "session-record",
    "shared-view",
    "stickiness",
    "affinity",
    "restart-persistence",
    "scaling",
    "heartbeat",
    "locking",
    "history",
    "continuity",
    "takeover",
    "drain",
    "availability",
    "security",
    "capacity",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PLACEHOLDERS = ("python", "host", "port", "redis_host", "redis_port", "redis_url", "postgres_url", "pod")

EXAMPLES = {  # what to write for a key that is missing
    "name": 'name = "my-backend"',
    "http": "a table [http] with list, create, delete and body",
    "claims": '[claims] guarantees = ["replicas"]',
    "http.list": 'list = "GET /api/sessions"',
    "http.create": 'create = "POST /api/sessions"',
    "http.delete": 'delete = "DELETE /api/sessions/{id}"',
    "http.body": 'body = { type = "trace_tcp", namespace = "demo" }',
    "websocket.path": 'path = "/ws/{id}"',
    "ingress.cookie": 'cookie = "backend-session"',
    "claims.guarantees": 'guarantees = ["replicas"]',
    "local.command": 'command = ["./backend"]',
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One HTTP call: `GET /api/sessions/{id}`."""

    method: str
    path: str

    @classmethod
    def from_text(cls, value: Any, where: str) -> Self:
        """From its text. Raises ContractError; `where` names the key."""
        method, _, path = value.partition(" ") if isinstance(value, str) else ("", "", "")
        if method not in METHODS or not path.startswith("/") or " " in path:
            raise ContractError(f'`{where}` is {value!r}; write a method and a path: "GET /api/sessions"')
        return cls(method, path)

    def url(self, **parts: str) -> str:
        """The path with its placeholders filled in."""
        return self.path.format(**parts)


@dataclass(frozen=True, slots=True)
class Http:
    """The calls that the backend answers, and where things stand in them."""

    list: Endpoint
    create: Endpoint
    delete: Endpoint
    body: Mapping[str, Any]
    fast_body: Mapping[str, Any] | None = None
    quiet_body: Mapping[str, Any] | None = None
    id: str = "id"
    health: Endpoint | None = None
    ready: Endpoint | None = None
    gadgets: Endpoint | None = None
    read: Endpoint | None = None
    update: Endpoint | None = None
    events: Endpoint | None = None
    search: Endpoint | None = None
    instances: Endpoint | None = None
    running: str | None = None
    update_field: str | None = None
    cursor_header: str | None = None
    idempotency_header: str | None = None
    instance_header: str | None = None

    @property
    def probe(self) -> Endpoint | None:
        """What readiness is probed by."""
        return self.ready or self.health


@dataclass(frozen=True, slots=True)
class WebSocket:
    """The streams. `any_replica` false: a stream is tied to the owner and a client must come with its cookie."""

    path: str
    any_replica: bool = True
    seq: str | None = None
    source_counter: str | None = None
    resume: Mapping[str, Any] | None = None
    wrong_instance_text: str | None = None


@dataclass(frozen=True, slots=True)
class Ingress:
    """How clients stick."""

    cookie: str
    kind: Literal["traefik"] = "traefik"


@dataclass(frozen=True, slots=True)
class Redis:
    """Key patterns; `{id}` is a session's id, `{instance}` a replica's."""

    session: str | None = None
    active: str | None = None
    owned: str | None = None
    heartbeat: str | None = None
    websocket: str | None = None
    lock: str | None = None
    fence: str | None = None
    events: str | None = None
    epoch: str | None = None
    epoch_field: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """Regular expressions over the lines that a replica logs; named groups as in the shipped files."""

    instance: str | None = None
    started: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """What the backend promises, in seconds; the source of every budget."""

    heartbeat_interval_s: float | None = None
    heartbeat_ttl_s: float | None = None
    self_fence_s: float | None = None
    takeover_scan_s: float | None = None
    takeover_s: float | None = None
    lock_ttl_s: float | None = None
    lock_wait_s: float | None = None
    session_timeout_s: float | None = None
    pre_stop_s: float = 0.0
    grace_period_s: float = 30.0
    ended_keep_s: float | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """The guarantees that the backend claims."""

    guarantees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Local:
    """How one replica is started on this machine. With `settings_prefix`, [timing] reaches it as settings."""

    command: tuple[str, ...]
    env: Mapping[str, Any] = field(default_factory=dict)
    settings_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Where the backend stands in a cluster."""

    namespace: str
    deployment: str
    selector: str
    service: str
    ingress: str | None = None
    redis: str | None = None
    postgres: str | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """One backend. `path` is the file it was read from; relative commands are run from its folder."""

    name: str
    http: Http
    claims: Claims
    path: Path
    ingress: Ingress | None = None
    websocket: WebSocket | None = None
    redis: Redis = field(default_factory=Redis)
    log: Log = field(default_factory=Log)
    timing: Timing = field(default_factory=Timing)
    local: Local | None = None
    kubernetes: Kubernetes | None = None

    def settings(self) -> dict[str, str]:
        """[timing] as the environment variables that reach the backend; empty without a `settings_prefix`."""
        if self.local is None or self.local.settings_prefix is None:
            return {}
        prefix = self.local.settings_prefix
        given = {f.name: getattr(self.timing, f.name) for f in fields(self.timing)}
        return {f"{prefix}{name.upper()}": f"{value:g}" for name, value in given.items() if value is not None}

    def with_timing(self, **seconds: float) -> "Contract":
        """The same contract with other times."""
        return replace(self, timing=replace(self.timing, **seconds))


def load(path: Path) -> Contract:
    """Read a contract file.

    Raises:
        ContractError: it is missing, is no TOML, or a key is unknown, missing or of the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"contract {path}: {error}. Give an existing file with --contract FILE") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Contract:
    """Read a contract from `text`; `path` names it in errors. Raises ContractError as `load` does."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ContractError(f"contract {path}: not valid TOML: {error}") from error
    try:
        contract: Contract = build(Contract, table | {"path": path}, EXAMPLES)
        _check(contract)
    except ContractError as error:
        raise ContractError(f"contract {path}: {error}") from None
    return contract


def _check(contract: Contract) -> None:
    for key in ("read", "update", "delete", "events"):
        endpoint: Endpoint | None = getattr(contract.http, key)
        _placed(endpoint and endpoint.path, "{id}", f"http.{key}")
    for key in ("session", "websocket", "lock", "fence", "events", "epoch"):
        _placed(getattr(contract.redis, key), "{id}", f"redis.{key}")
    for key in ("owned", "heartbeat"):
        _placed(getattr(contract.redis, key), "{instance}", f"redis.{key}")
    _placed(contract.websocket and contract.websocket.path, "{id}", "websocket.path")
    _check_log(contract.log)
    for claim in contract.claims.guarantees:
        if claim not in GUARANTEES:
            raise ContractError(f"`claims.guarantees` has {claim!r}; {near(claim, GUARANTEES)}")
    if contract.local:
        _check_local(contract.local)


def _check_log(log: Log) -> None:
    for key, pattern, group in (("instance", log.instance, "instance"), ("started", log.started, "id")):
        try:
            groups = re.compile(pattern).groupindex if pattern is not None else {group: 1}
        except re.error as error:
            raise ContractError(f"`log.{key}` is no regular expression: {error}") from None
        if group not in groups:
            raise ContractError(f"`log.{key}` needs a named group: (?P<{group}>...)")


def _check_local(local: Local) -> None:
    if not local.command:
        raise ContractError('`local.command` is empty; write what starts one replica: ["./backend"]')
    for text in (*local.command, *map(str, local.env.values())):
        for name in re.findall(r"\{(\w+)\}", text):
            if name not in PLACEHOLDERS:
                known = " ".join(f"{{{p}}}" for p in PLACEHOLDERS)
                raise ContractError(f"`local` uses {{{name}}}, which is not known; known: {known}")


def _placed(text: Any, placeholder: str, where: str) -> None:
    if text is not None and placeholder not in text:
        raise ContractError(f"`{where}` is {text!r}; it must contain {placeholder}")
