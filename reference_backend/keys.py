"""The names of all keys in Redis. Those of the contract first, then what this backend needs besides.

What each holds and how long it lives is said in docs/reference-backend.md.
"""

ACTIVE = "sessions:active"
DUE = "sessions:due"  # sorted set: when something is to be done to a session, in Unix milliseconds
INSTANCES = "instances"  # sorted set: replicas that ever beat and were not cleaned up, by Unix time of the last beat
HISTORY_RECORDS = "history:records"  # stream: session records on their way to the history
HISTORY_TAIL = "history:tail"  # set: sessions (or id/stream of a former stream) that any replica has to write there
PROMOTION = "promotion"  # which server became primary by a failover, by its replication id, and when (Unix seconds)
SWEEP_LEASE = "lease:sweep"
HISTORY_LEASE = "lease:history"


def session(session_id: str) -> str:
    """The session as JSON."""
    return f"session:{session_id}"


def lock(session_id: str) -> str:
    """The token of the lock's holder."""
    return f"lock:session:{session_id}"


def fence(session_id: str) -> str:
    """The last fence handed out."""
    return f"fence:session:{session_id}"


def epoch(session_id: str) -> str:
    """The last epoch handed out."""
    return f"epoch:{session_id}"


def events(session_id: str) -> str:
    """The stream of events; the id of an entry is its `seq`."""
    return f"events:{session_id}"


def stream(session_id: str) -> str:
    """The stream's id."""
    return f"stream:{session_id}"


def former_events(session_id: str, stream_id: str) -> str:
    """What is left of a stream that another one replaced, until the history has it."""
    return f"events:{session_id}:{stream_id}"


def websocket(session_id: str) -> str:
    """A replica that has an open WebSocket of the session."""
    return f"ws:{session_id}"


def watchers(session_id: str) -> str:
    """Sorted set: all replicas that have one, by the Unix milliseconds at which their word expires."""
    return f"watchers:{session_id}"


def owned(instance: str) -> str:
    """The sessions that a replica owns."""
    return f"backend:{instance}:sessions"


def heartbeat(instance: str) -> str:
    """Unix time of a replica's last heartbeat."""
    return f"backend:{instance}:heartbeat"


def address(instance: str) -> str:
    """Where peers reach a replica."""
    return f"backend:{instance}:address"


def control(instance: str) -> str:
    """Stream that wakes a replica's blocking read."""
    return f"backend:{instance}:control"


def orphans(instance: str) -> str:
    """The sessions that a dead replica left, as they are dealt out to the others."""
    return f"orphans:{instance}"


def idempotency(key: str) -> str:
    """The session that was created with this idempotency key."""
    return f"idempotency:{key}"


def idempotency_lock(key: str) -> str:
    """Held while a session is created with this idempotency key."""
    return f"lock:idempotency:{key}"


def idempotency_fence(key: str) -> str:
    """The fence that comes with it."""
    return f"fence:idempotency:{key}"
