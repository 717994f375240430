"""A replica that needs nothing but Python: /ready, and 200 with the pod's name to whatever else.

FLAGS in its environment: `die` (ends with a traceback at once), `never-ready`, `stubborn` (ignores SIGTERM),
`children` (forks one that leaves its session and one that stays), `forking` (never stops to fork), `impatient`
(connects to Redis once, at its very start, and ends if it is refused).
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

FLAGS = os.environ.get("FLAGS", "").split(",")
POD = os.environ.get("POD_NAME", "")
SWITCHES = Path(os.environ["SWITCHES"])
REDIS_PORT = int(os.environ.get("REDIS_PORT", "0"))


class Redis:
    """One connection, named after the pod; opened again when it broke."""

    def __init__(self) -> None:
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ping(self) -> bool:
        try:
            async with asyncio.timeout(0.5):
                if self.streams is None:
                    self.streams = await asyncio.open_connection("127.0.0.1", REDIS_PORT)
                    self.streams[1].write(f"CLIENT SETNAME {POD}\r\n".encode())
                    await self.streams[0].readline()
                self.streams[1].write(b"PING\r\n")
                return await self.streams[0].readline() == b"+PONG\r\n"
        except (OSError, TimeoutError):
            if self.streams:
                self.streams[1].transport.abort()
            self.streams = None
            return False


def willing() -> bool:
    return "never-ready" not in FLAGS and not (SWITCHES / f"{POD}.unready").exists()


def start_children() -> None:
    if "children" in FLAGS:
        subprocess.Popen(["/bin/sleep", "600"])
        subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    if "forking" in FLAGS:
        subprocess.Popen(["/bin/sh", "-c", "while :; do sleep 0.03 & sleep 0.01; done"])


async def answer(redis: Redis, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        if path == "/ready" and not (willing() and (not REDIS_PORT or await redis.ping())):
            status = "503 Service Unavailable"
        else:
            status = "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(POD)}\r\nConnection: close\r\n\r\n{POD}".encode())
        await writer.drain()
    writer.close()


async def main() -> None:
    if "die" in FLAGS:
        raise RuntimeError("no such table: gadgets")
    if "impatient" in FLAGS:
        with socket.create_connection(("127.0.0.1", REDIS_PORT), 10) as early:
            early.sendall(b"PING\r\n")
            if early.recv(7) != b"+PONG\r\n":
                sys.exit("Redis is not there")
    if "stubborn" in FLAGS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start_children()
    sys.stderr.write(f"Session store initialized with instance ID: {uuid.uuid4()}\n")
    redis = Redis()
    server = await asyncio.start_server(
        lambda reader, writer: answer(redis, reader, writer), os.environ["HOST"], int(os.environ["PORT"])
    )
    await server.serve_forever()


asyncio.run(main())
