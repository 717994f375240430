"""One GET over a connection of its own: cheap enough to be asked ten times a second by readiness probes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

OK = 200
BODY_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status; 0 when there was no answer.
        failure: why there was none: nobody listens, the time was over, or the connection broke.
        body: the body as it came (an answer in chunks is left so).
    """

    status: int
    failure: Literal["", "refused", "timeout", "broken"] = ""
    body: bytes = b""

    def __str__(self) -> str:
        return (
            f"status {self.status}"
            if self.status
            else {
                "refused": "refused",
                "timeout": "no answer in time",
                "broken": "the connection broke",
            }.get(self.failure, "no answer")
        )

    @property
    def success(self) -> bool:
        """Whether the status is a 2xx."""
        return OK <= self.status < OK + 100


async def get(host: str, port: int, path: str, *, within_s: float, headers: Mapping[str, str] | None = None) -> Answer:
    """GET a path within `within_s` seconds; every failure is an answer."""
    try:
        async with asyncio.timeout(within_s):
            return await _get(host, port, path, headers or {})
    except TimeoutError:
        return Answer(0, "timeout")
    except ConnectionRefusedError:
        return Answer(0, "refused")
    except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
        return Answer(0, "broken")


async def _get(host: str, port: int, path: str, headers: Mapping[str, str]) -> Answer:
    reader, writer = await asyncio.open_connection(host, port, limit=BODY_BYTES_MAX)
    try:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status = int((await reader.readline()).split()[1])
        length = None
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = await (reader.readexactly(length) if length is not None else reader.read(BODY_BYTES_MAX))
        return Answer(status, "", body)
    finally:
        writer.close()


async def connects(host: str, port: int, *, within_s: float) -> Answer:
    """Whether somebody listens, as an answer: 200 if so."""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Answer(0, "timeout")
    except OSError:
        return Answer(0, "refused")
    writer.close()
    return Answer(OK)
