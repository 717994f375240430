"""Every key of a contract: what it is for, what is judged otherwise or not at all without it, and an example.

`limpet contract show` and `limpet contract new` print from this table, and docs/contract.md is held to it by a test.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from limpet.contract import (
    Claims,
    Contract,
    Http,
    Ingress,
    Kubernetes,
    Local,
    Log,
    Redis,
    Timing,
    WebSocket,
)

TABLES: Mapping[str, type] = {
    "http": Http,
    "websocket": WebSocket,
    "ingress": Ingress,
    "redis": Redis,
    "log": Log,
    "timing": Timing,
    "claims": Claims,
    "local": Local,
    "kubernetes": Kubernetes,
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        what: what it says of the backend.
        without: what happens when it is left out; "" where it is required.
        example: as written in TOML.
    """

    what: str
    without: str
    example: str


KEYS: Mapping[str, Key] = {
    "name": Key("what reports call the backend", "", '"my-backend"'),
    "http.list": Key(
        "all sessions as a JSON array (or null when there are none), each with its id", "", '"GET /api/sessions"'
    ),
    "http.create": Key("starts a session and answers 2xx with its id", "", '"POST /api/sessions"'),
    "http.delete": Key("stops a session and removes it; 404 when there is none", "", '"DELETE /api/sessions/{id}"'),
    "http.body": Key("the JSON that a create is sent", "", '{ type = "trace_tcp", namespace = "demo" }'),
    "http.fast_body": Key(
        "the JSON of a create whose source speaks fast, a hundred events a second and more",
        "continuity is judged at the pace of http.body",
        '{ type = "trace_tcp", namespace = "demo", rate = 100 }',
    ),
    "http.quiet_body": Key(
        "the JSON of a create whose source hardly ever speaks, for hundreds of sessions that nobody watches",
        "those are made with http.body, and keep the machine busier",
        '{ type = "trace_tcp", namespace = "demo", rate = 0.1 }',
    ),
    "http.id": Key("the field of an answer that holds a session's id", '"id" is taken', '"id"'),
    "http.health": Key(
        "200 while the process lives",
        "readiness is probed by http.ready, else by a TCP connection",
        '"GET /health"',
    ),
    "http.ready": Key(
        "200 when a replica can serve, 503 with the reason otherwise",
        "readiness is probed by http.health, which a replica may answer before it can serve",
        '"GET /ready"',
    ),
    "http.gadgets": Key("the catalogue of what can be started", "nothing is lost", '"GET /api/gadgets"'),
    "http.read": Key(
        "one session, or 404", "the list stands for it: each list is a read of all", '"GET /api/sessions/{id}"'
    ),
    "http.update": Key(
        "changes one field of a session (http.update_field)",
        "shared-view is judged by create, read and delete alone",
        '"PATCH /api/sessions/{id}"',
    ),
    "http.events": Key(
        "what was recorded of a session, also after its end",
        "history is judged by http.search alone; session-record cannot see that its events end with a delete",
        '"GET /api/sessions/{id}/events"',
    ),
    "http.search": Key("searches the history", "the search of history is not judged", '"GET /api/events"'),
    "http.instances": Key(
        "the live replicas and the gadgets that really run in each",
        "a gadget that runs on after its session's delete is seen only by the events it sends",
        '"GET /api/instances"',
    ),
    "http.running": Key(
        "where a replica's entry in that answer has the ids of the sessions whose gadgets run in it",
        "that each gadget runs once is not judged",
        '"gadgets.sessionId"',
    ),
    "http.update_field": Key("the field that http.update changes", "nothing is updated", '"labels"'),
    "http.cursor_header": Key(
        "the header of a list's answer that names its next page", "the list is taken to be one page", '"X-Next-Cursor"'
    ),
    "http.idempotency_header": Key(
        "the request header by which a repeated create makes no second session",
        "a create of unknown outcome is settled by a session id that nobody was told of",
        '"Idempotency-Key"',
    ),
    "http.instance_header": Key(
        "the header of every answer, the 101 of a WebSocket too, that names the replica",
        "the owner of what a call created tells which replica answered (redis.owned)",
        '"X-Backend-Instance"',
    ),
    "websocket.path": Key("where a session's events are streamed", "", '"/ws/{id}"'),
    "websocket.any_replica": Key(
        "whether any replica serves any session's stream; false: only its owner, so a client comes with its cookie",
        "true is taken",
        "false",
    ),
    "websocket.seq": Key(
        "where an event has its number in the stream", "continuity cannot be judged: it counts on it", '"seq"'
    ),
    "websocket.source_counter": Key(
        "where an event has the source's own count, on the source's clock",
        "what was lost before it got its number cannot be seen",
        '"data.n"',
    ),
    "websocket.resume": Key(
        "the query parameters that resume a stream",
        "a watcher that comes back starts from now on",
        '{ stream = "stream", after = "after" }',
    ),
    "websocket.wrong_instance_text": Key(
        "what a replica says that does not serve this session's stream",
        "such a refusal counts as any other failed handshake",
        '"Session is on a different backend instance"',
    ),
    "ingress.cookie": Key("the sticky cookie that the ingress sets", "", '"backend-session"'),
    "ingress.kind": Key("what the ingress is", '"traefik" is taken', '"traefik"'),
    "redis.session": Key(
        "a session's record, as JSON", "session-record is judged by redis.active and redis.owned", '"session:{id}"'
    ),
    "redis.active": Key("the set of all sessions", "session-record is judged by the other keys", '"sessions:active"'),
    "redis.owned": Key(
        "the set of sessions that a replica owns",
        "without it and http.instance_header nobody tells which replica answered",
        '"backend:{instance}:sessions"',
    ),
    "redis.heartbeat": Key(
        "a replica's heartbeat: Unix time in seconds, with a time to live",
        "heartbeat is not judged, and scaling without its registrations",
        '"backend:{instance}:heartbeat"',
    ),
    "redis.websocket": Key(
        "which replica has an open WebSocket of a session",
        "affinity is not judged, nor that session-record follows a watcher",
        '"ws:{id}"',
    ),
    "redis.lock": Key(
        "the token of the holder of a session's lock, with a time to live",
        "locking is not judged",
        '"lock:session:{id}"',
    ),
    "redis.fence": Key(
        "the number that a lock came with, larger each time",
        "that a stale holder cannot write is not judged",
        '"fence:session:{id}"',
    ),
    "redis.events": Key(
        "the Redis stream of a session's events",
        "what is left of it after a delete is found by the id in its name only",
        '"events:{id}"',
    ),
    "redis.epoch": Key(
        "the number that grows with every change of a session's owner",
        "that it grows, and that a former owner appends nothing, is not judged",
        '"epoch:{id}"',
    ),
    "redis.epoch_field": Key(
        "the field of an entry of redis.events that has the epoch under which it was appended",
        "that a former owner appends nothing is not judged",
        '"epoch"',
    ),
    "redis.also": Key(
        "further keys; all with {id} have to be gone, or to expire, after a delete",
        "only the keys above are looked at by name; leftovers are found by the id in them",
        '["stream:{id}"]',
    ),
    "log.instance": Key(
        "regular expression with (?P<instance>...): how a start logs the instance id",
        "ids are told by http.instance_header only; heartbeat is judged without first beats and deaths",
        r"""'Session store initialized with instance ID: (?P<instance>[0-9a-f-]{36})'""",
    ),
    "log.started": Key(
        "regular expression with (?P<id>...): how the start of a gadget is logged",
        "nothing is lost where Redis or the API tell it",
        r"""'Started gadget (?P<type>\S+) for session (?P<id>[0-9a-f-]{36})'""",
    ),
    "timing.heartbeat_interval_s": Key("time between two heartbeats of a replica", "heartbeat is not judged", "5"),
    "timing.heartbeat_ttl_s": Key(
        "life of a heartbeat key: a dead replica has vanished after it",
        "how soon a dead replica vanishes is not judged (heartbeat, affinity, scaling)",
        "15",
    ),
    "timing.self_fence_s": Key(
        "after so long without a heartbeat a replica stops its own gadgets", "takeover has no budget from it", "10"
    ),
    "timing.takeover_scan_s": Key(
        "time between two looks for dead replicas", "takeover is allowed no time of its own for it", "1"
    ),
    "timing.takeover_s": Key(
        "longest time from the death of a replica's process to the next event of its sessions",
        "a takeover is allowed the life of a heartbeat and two looks",
        "3",
    ),
    "timing.lock_ttl_s": Key("life of a lock", "that every lock expires in time is not judged", "10"),
    "timing.lock_wait_s": Key("longest wait for a lock", "waiting has no budget", "5"),
    "timing.session_timeout_s": Key("longest life of a session", "nothing is lost", "1800"),
    "timing.pre_stop_s": Key("time between a pod's leaving the endpoints and its SIGTERM", "0 is taken", "0.5"),
    "timing.grace_period_s": Key("time between SIGTERM and SIGKILL", "30 is taken", "30"),
    "timing.ended_keep_s": Key(
        "how long an ended session is kept", "ended sessions are taken to be gone at once", "300"
    ),
    "claims.guarantees": Key("what the backend is to be held to", "", '["replicas", "session-record"]'),
    "local.command": Key("what starts one replica, from the folder of this file", "", '["./backend"]'),
    "local.env": Key(
        "its environment, besides the one that limpet was started with",
        "the command has to say everything",
        '{ PORT = "{port}", REDIS_URL = "{redis_url}" }',
    ),
    "local.settings_prefix": Key(
        "how the settings begin by which [timing] reaches a replica: BACKEND_HEARTBEAT_INTERVAL_S=5",
        "[timing] describes what the backend does by itself",
        '"BACKEND_"',
    ),
    "kubernetes.namespace": Key("where it stands", "", '"gadget-management"'),
    "kubernetes.deployment": Key("the Deployment of its replicas", "", '"backend"'),
    "kubernetes.selector": Key("the labels of its pods", "", '"app=gadget-backend"'),
    "kubernetes.service": Key("the Service in front of them", "", '"backend"'),
    "kubernetes.ingress": Key("the Ingress", "users are taken to come by the Service", '"gadget-management"'),
    "kubernetes.redis": Key("its Redis", "nothing that Redis tells is judged", '"service/redis:6379"'),
    "kubernetes.postgres": Key("its database", "it is not looked at", '"service/timescaledb:5432"'),
}
NEEDED: Mapping[str, str] = {
    "websocket": "streams are not judged",
    "ingress": "stickiness is not judged",
    "local": "it cannot be started on this machine",
    "kubernetes": "it cannot be judged in a cluster",
}


def tables(contract: Contract) -> Iterator[tuple[str, object | None, tuple[str, ...]]]:
    """Each table's name, what the contract has of it (None: it is left out), and the names of its keys in order."""
    for name, kind in TABLES.items():
        yield name, getattr(contract, name), tuple(spec.name for spec in fields(kind))
