"""A look at a system as a person reads it: Redis and the ingress in a few lines, replicas and locks as tables."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from limpet.report.wording import one_line
from limpet.status.look import Status

LOCKS_MAX = 20
TOKEN_MAX = 40
COUNTS = {"active": "sessions:active", "records": "records", "owned": "owned", "websockets": "ws", "locks": "locks"}

SHORT = 6  # of an instance id; a table of ten columns has no more room, and --json has it whole


def draw(status: Status, figures: dict[str, Any]) -> RenderableType:
    """Everything of `figures` (see figures.py) that a person looks for."""
    blocks: list[RenderableType] = [_facts(status, figures), Text(), _replicas(figures)]
    if figures["locks"]:
        blocks += [Text(), _locks(figures["locks"])]
    return Group(*blocks)


def _facts(status: Status, figures: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, fact in (*_of_sessions(status, figures), *_of_redis(figures), *_of_ingress(figures)):
        grid.add_row(name, Text(one_line(fact)))
    return grid


def _of_sessions(status: Status, figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    redis = figures["redis"]
    if "error" in redis:
        yield "redis", f"cannot be asked: {redis['error']}"
        return
    names = COUNTS | {"active": status.place.contract.redis.active or "active"}
    counts = [f"{names[key]} {'?' if redis[key] is None else redis[key]}" for key in COUNTS]
    yield "sessions", ", ".join(counts) + ("" if redis["whole"] else f" (at least: {redis['keys']} keys looked at)")


def _of_redis(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    redis = figures["redis"]
    if "error" in redis:
        return
    fsync = f", fsync {redis['appendfsync']}" if redis["appendfsync"] else ""
    kept = f"append-only file{fsync}" if redis["append_only"] else "no append-only file"
    memory = f"{redis['maxmemory']} bytes at most" if redis["maxmemory"] else "no memory limit"
    yield "redis", f"{redis['version']}, up {redis['uptime_s']} s, {kept}, {redis['maxmemory_policy']}, {memory}"
    for key, kind in redis["other_types"].items():
        yield "", f"{key} is of type {kind}, which the contract does not expect"


def _of_ingress(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    ingress = figures["ingress"]
    if ingress is None:
        yield "ingress", "no address of it is known; give --url URL"
        return
    answer = f"{ingress['status']} to a new client" if ingress["status"] else f"no answer: {ingress['error']}"
    yield "ingress", f"{ingress['url']}: {answer}"
    wanted, set_ = ingress["cookie_wanted"], ingress["cookies_set"]
    if wanted:
        yield "cookie", f"{wanted} is {'set' if wanted in set_ else 'not set'} for a new client"
    if ingress["routes_error"]:
        yield "endpoints", f"cannot be asked: {ingress['routes_error']}"
    for service in ingress["services"] or ():
        sticky = (
            f"sticky by {' '.join([service['cookie'], *service['attributes']])}" if service["cookie"] else "not sticky"
        )
        yield "endpoints", f"{service['name']}: {', '.join(service['servers']) or 'none'}; {sticky}"


def _replicas(figures: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("replica", "phase", "listed", "restarts", "age", "health", "ready"):
        table.add_column(column, no_wrap=True)
    for column in ("beat", "owned", "ws"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("id", no_wrap=True)
    instances = {row["instance"]: row for row in figures["instances"]}
    for replica in figures["replicas"]:
        cells = [
            one_line(replica["name"]),
            replica["phase"] or "?",
            {True: "yes", False: "no", None: "?"}[replica["listed"]],
            _or_none(replica["restarts"]),
            "?" if replica["age_s"] is None else f"{replica['age_s']:.0f} s",
            _or_none(replica["health"]),
            _or_none(replica["ready"]),
        ]
        table.add_row(
            *cells, *_beats(instances.pop(replica["instance"], None)), one_line(replica["instance"] or "?")[:SHORT]
        )
    for instance, row in instances.items():  # in Redis, but nobody tells which replica it is
        table.add_row(*("?" * 7), *_beats(row), one_line(instance)[:SHORT])
    return table


def _beats(row: dict[str, Any] | None) -> tuple[str, str, str]:
    if row is None:
        return "?", "?", "?"
    age_s = row["heartbeat_age_s"]
    return "none" if age_s is None else f"{age_s:.1f} s", str(row["owned"]), str(row["websockets"])


def _or_none(value: int | None) -> str:
    return "-" if value is None else str(value)


def _locks(locks: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("lock of session", "holder", "expires in"):
        table.add_column(column, overflow="fold")
    for lock in locks[:LOCKS_MAX]:
        left = "never" if lock["ttl_s"] is None else f"{lock['ttl_s']:.1f} s"
        table.add_row(one_line(lock["session"]), one_line(lock["holder"])[:TOKEN_MAX], left)
    if len(locks) > LOCKS_MAX:
        table.add_row(f"and {len(locks) - LOCKS_MAX} more", "", "")
    return table
