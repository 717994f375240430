"""A small backend that keeps a list of jobs: several replicas of it share what they know through Redis.

    python backend.py --port 8081 --redis redis://127.0.0.1:6379

`POST /v1/jobs` makes a job, `GET /v1/jobs` lists them, `DELETE /v1/jobs/{id}` removes one. A job is in two keys, which
are written in one transaction: `job/{id}` (JSON) and the set `jobs`. Each process tells its id in its log, in every
answer, and in `replica/{id}/alive`.
"""
# ruff: noqa: INP001 - a program of one file, in no package

import argparse
import json
import logging
import signal
import threading
import time
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, ClassVar

from redis import Redis
from redis.exceptions import RedisError

ALIVE_EVERY_S = 4.0
ALIVE_TTL_S = 12
BODY_BYTES_MAX = 1 << 16
LEAVE_S = 2.0
KINDS = ("count", "watch")

log = logging.getLogger("jobs")


class Jobs:
    """The jobs, as all replicas see them. Every method raises RedisError when Redis is away."""

    def __init__(self, redis_url: str, replica: str) -> None:
        self._redis = Redis.from_url(redis_url, decode_responses=True, socket_timeout=3, socket_connect_timeout=1)
        self._alive = f"replica/{replica}/alive"

    def all(self) -> list[Any]:
        """Every job that is in the set and has a record."""
        jobs: set[Any] = self._redis.smembers("jobs")
        names = [f"job/{job}" for job in jobs]
        return [json.loads(record) for record in self._redis.mget(names) if record] if names else []

    def add(self, kind: str, target: str) -> dict[str, Any]:
        """A new job."""
        id_ = uuid.uuid4().hex
        job = {"jobId": id_, "kind": kind, "target": target, "madeAt": time.time()}
        with self._redis.pipeline(transaction=True) as change:
            change.set(f"job/{id_}", json.dumps(job))
            change.sadd("jobs", id_)
            change.execute()
        return job

    def remove(self, job: str) -> bool:
        """Whether there was such a job; of several who remove one, one is told so."""
        with self._redis.pipeline(transaction=True) as change:
            change.delete(f"job/{job}")
            change.srem("jobs", job)
            removed, _ = change.execute()
        return bool(removed)

    def show_alive(self) -> None:
        """Write the present time into this replica's key."""
        self._redis.set(self._alive, int(time.time()), ex=ALIVE_TTL_S)

    def leave(self) -> None:
        """Remove this replica's key."""
        self._redis.delete(self._alive)


class Handler(BaseHTTPRequestHandler):
    """The HTTP calls."""

    jobs: ClassVar[Jobs]
    replica: ClassVar[str]
    busy: ClassVar[set[int]] = set()  # threads that are at a request

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer leaves in one piece

    def do_GET(self) -> None:
        """Health, and the list."""
        if self.path == "/alive":
            self._answer(lambda: (HTTPStatus.OK, "alive"))
        elif self.path == "/v1/jobs":
            self._answer(lambda: (HTTPStatus.OK, self.jobs.all()))
        else:
            self._answer(lambda: (HTTPStatus.NOT_FOUND, "no such path"))

    def do_POST(self) -> None:
        """Make a job."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdigit() else BODY_BYTES_MAX + 1
        if size > BODY_BYTES_MAX:
            self.close_connection = True  # what follows on it is the body that nobody reads
            self._answer(lambda: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"give {BODY_BYTES_MAX} bytes at most"))
            return
        body = self.rfile.read(size)
        self._answer(lambda: self._make(body))

    def do_DELETE(self) -> None:
        """Remove a job."""
        job = self.path.removeprefix("/v1/jobs/")
        gone, unknown = (HTTPStatus.NO_CONTENT, None), (HTTPStatus.NOT_FOUND, "no such job")
        self._answer(lambda: gone if self.jobs.remove(job) else unknown)

    def _make(self, body: bytes) -> tuple[HTTPStatus, Any]:
        try:
            wanted = json.loads(body)
        except ValueError:
            wanted = None
        match wanted if self.path == "/v1/jobs" else None:
            case {"kind": str(kind), "target": str(target)} if kind in KINDS:
                return HTTPStatus.CREATED, self.jobs.add(kind, target)
            case _:
                return HTTPStatus.BAD_REQUEST, f"POST /v1/jobs takes a kind ({', '.join(KINDS)}) and a target"

    def _answer(self, call: Any) -> None:
        thread = threading.get_ident()
        self.busy.add(thread)
        try:
            status, body = call()
        except RedisError as error:
            status, body = HTTPStatus.SERVICE_UNAVAILABLE, f"Redis: {error}"
        told = {"error": body} if status >= HTTPStatus.BAD_REQUEST else body
        content = b"" if body is None else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("X-Served-By", self.replica)
        if content:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        self.busy.discard(thread)

    def log_message(self, *_: Any) -> None:
        """Requests are not logged."""


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


def stay_alive(jobs: Jobs, leaving: threading.Event) -> None:
    """Show that this replica is alive, at once and then every ALIVE_EVERY_S seconds."""
    wait_s = 0.0
    while not leaving.wait(wait_s):
        try:
            jobs.show_alive()
            wait_s = ALIVE_EVERY_S
        except RedisError as error:
            log.warning("Redis: %s", error)
            wait_s = 0.2


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what is under way and leave."""
    parser = argparse.ArgumentParser(description="A small backend that keeps a list of jobs in Redis.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", required=True, help="redis://host:port")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    Handler.replica = uuid.uuid4().hex
    Handler.jobs = Jobs(options.redis, Handler.replica)
    leaving = threading.Event()
    server = Server(("127.0.0.1", options.port), Handler)
    heart = threading.Thread(target=stay_alive, args=(Handler.jobs, leaving))

    def leave(_signal: int, _frame: FrameType | None) -> None:
        leaving.set()
        threading.Thread(target=server.shutdown).start()  # it waits for serve_forever, which is this thread

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    log.info("replica %s is open on port %d", Handler.replica, options.port)
    heart.start()
    server.serve_forever(poll_interval=0.05)
    until = time.monotonic() + LEAVE_S
    while Handler.busy and time.monotonic() < until:
        time.sleep(0.01)
    heart.join()
    try:
        Handler.jobs.leave()
    except RedisError as error:
        log.warning("Redis: %s", error)


if __name__ == "__main__":
    main()
