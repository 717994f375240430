"""Every setting of a replica: its environment variable, its default and what it means. `--help` prints this list.

Five names stand alone, as platforms give them (HOST, PORT, REDIS_URL, DATABASE_URL, POD_NAME); all others begin with
BACKEND_.
"""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from reference_backend import redis_sentinel
from reference_backend.sources import SOURCES

PREFIX = "BACKEND_"


class Settings(BaseSettings):
    """What one replica is told; frozen once read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field(default="127.0.0.1", validation_alias="HOST", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, validation_alias="PORT", description="port to listen on; 0 takes a free one"
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias="REDIS_URL",
        description="where Redis is; or redis+sentinel://[:password@]host:port[,host:port...]/service[/db]",
    )
    database_url: str | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL for the history; without it there is none",
    )
    pod_name: str = Field(
        default="", validation_alias="POD_NAME", description="name shown to people; the host name if empty"
    )
    advertise_host: str = Field(
        default="", description="host by which other replicas reach this one; HOST, or this host's address, if empty"
    )

    sources: str = Field(
        default="synthetic",
        description="sources that clients may select, with commas between them; the first is the default",
    )

    heartbeat_interval_s: PositiveFloat = Field(default=5.0, description="time between two heartbeats")
    heartbeat_ttl_s: PositiveFloat = Field(
        default=15.0, description="life of a heartbeat: the lease of all that a replica owns"
    )
    self_fence_s: PositiveFloat = Field(
        default=10.0, description="after so long without a heartbeat written, a replica stops its own gadgets"
    )
    takeover_scan_s: PositiveFloat = Field(
        default=1.0, description="time between two looks for dead replicas and sessions whose time has come"
    )
    lock_ttl_s: PositiveFloat = Field(default=10.0, description="life of a session's lock, should its holder die")
    lock_wait_s: PositiveFloat = Field(
        default=5.0, description="longest wait for a session's lock; then the answer is 503"
    )
    session_timeout_s: PositiveFloat = Field(default=1800.0, description="longest life of a session")
    ended_keep_s: PositiveFloat = Field(
        default=300.0, description="how long an ended session and its stream are kept in Redis"
    )
    grace_period_s: PositiveFloat = Field(
        default=30.0, description="time between SIGTERM and SIGKILL; stopping takes less"
    )
    quiet_s: PositiveFloat = Field(
        default=0.5, description="a replica that stops closes its streams once no request came for so long"
    )
    owner_stop_wait_s: PositiveFloat = Field(
        default=2.0, description="how long an owner is given to stop a gadget before it is overruled"
    )
    peer_wait_s: PositiveFloat = Field(default=1.0, description="how long a peer is given to say what runs in it")
    redis_wait_s: PositiveFloat = Field(
        default=2.0, description="longest wait for Redis to take a connection or to answer"
    )

    stream_events: PositiveInt = Field(default=10_000, description="events kept in Redis per session, roughly")
    pending_events: PositiveInt = Field(
        default=5_000,
        description="events of one session that wait for Redis; what overflows is announced as an interruption",
    )
    pending_bytes: PositiveInt = Field(default=8_388_608, description="the same in bytes")
    waiting_bytes: PositiveInt = Field(
        default=134_217_728, description="bytes that wait for Redis, of all sessions of a replica together"
    )
    watcher_buffer_bytes: PositiveInt = Field(
        default=1_048_576, description="unsent bytes of one watcher; above it is closed with 4408"
    )
    body_bytes: PositiveInt = Field(default=65_536, description="largest request body")
    frame_bytes: PositiveInt = Field(
        default=65_536, description="largest WebSocket message from a client; above it is 1009"
    )
    redis_connections: PositiveInt = Field(default=32, description="connections to Redis shared by requests")
    database_connections: PositiveInt = Field(default=4, description="connections to PostgreSQL")
    history_interval_s: PositiveFloat = Field(default=0.5, description="time between two writes to the history")
    search_wait_s: PositiveFloat = Field(default=5.0, description="longest time that a search of the history may take")

    @field_validator("sources")
    @classmethod
    def _known_sources(cls, given: str) -> str:
        names = _names(given)
        unknown = [name for name in names if name not in SOURCES]
        if unknown or not names:
            raise ValueError(f"{unknown[0] if unknown else 'nothing'} is no source; there are: {', '.join(SOURCES)}")
        return given

    @field_validator("redis_url")
    @classmethod
    def _readable_url(cls, given: str) -> str:
        redis_sentinel.parse(given)
        return given

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources that clients may select; the first is the default."""
        return _names(self.sources)


def read() -> Settings:
    """The settings of this process.

    Raises:
        SystemExit: one is wrong; the message names the variable and the reason.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{variable(str(e['loc'][0]))}: {e['msg']} (given: {e['input']!r})" for e in error.errors()]
        raise SystemExit("reference_backend: wrong settings\n  " + "\n  ".join(lines)) from None


def variable(name: str) -> str:
    """The environment variable of a field; a name that is a variable already stays as it is."""
    info = Settings.model_fields.get(name)
    if info is None:
        return name
    return str(info.validation_alias) if info.validation_alias else PREFIX + name.upper()


def describe() -> str:
    """One line a setting: variable, default, meaning."""
    rows = [
        (variable(name), "" if info.default is None else str(info.default), info.description or "")
        for name, info in Settings.model_fields.items()
    ]
    wide = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    return "\n".join(f"  {name:<{wide[0]}}  {default:<{wide[1]}}  {meaning}" for name, default, meaning in rows)


def _names(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())
