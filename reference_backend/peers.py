"""Calls from one replica to another, over the address that each keeps in Redis.

A client of HTTP/1.1 in a few lines: these calls are small, rare and bounded in time, and a full client would cost every
start 100 ms.
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httptools
import msgspec

ANSWER_BYTES_MAX = 64 * 1024 * 1024


class PeerError(Exception):
    """A peer did not answer in time, or not as it should."""


async def call(method: str, url: str, *, within_s: float, body: Any = None) -> tuple[int, Any]:
    """Send a request; gives status and decoded JSON (None without a body).

    Raises:
        PeerError: no answer within `within_s` seconds.
    """
    try:
        async with asyncio.timeout(within_s):
            return await _exchange(method, url, b"" if body is None else msgspec.json.encode(body))
    except (OSError, TimeoutError, EOFError, httptools.HttpParserError, msgspec.DecodeError, ValueError) as error:
        raise PeerError(f"{method} {url}: {error or type(error).__name__}") from error


class _Answer:
    """Takes what the parser finds."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def _exchange(method: str, url: str, body: bytes) -> tuple[int, Any]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            data = await reader.read(65536)
            if not data or len(answer.body) > ANSWER_BYTES_MAX:
                raise EOFError("the answer ended early")
            parser.feed_data(data)
        return parser.get_status_code(), msgspec.json.decode(answer.body) if answer.body else None
    finally:
        writer.close()
