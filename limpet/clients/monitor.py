"""MONITOR: every command that the Redis server carries out, in exactly its order, with where it came from.

It shows no reply, no failure and no expiry. Lines are kept as they come and parsed afterwards, so that watching costs
next to nothing. What the server does not show: commands that it refused before it carried them out (unknown, of the
wrong number of arguments, while it loads), what was queued in a transaction that was not executed, and most of what
administers the server (CONFIG, CLIENT LIST).

Measured on Valkey 9.1: what a script calls follows its EVALSHA as from `lua`; what was queued stands before its EXEC;
a blocking command is shown when it begins; passwords are `(redacted)`.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from limpet.errors import LimpetError

LUA = "lua"
LINE = re.compile(rb'\+(\d+)\.(\d{6}) \[(\d+) (.+?)\] (".*)\r?')
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)")
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Monitored:
    """One line.

    Attributes:
        order: its number among the lines, from 0.
        at_us: when it was carried out by the server's clock, in Unix microseconds.
        address: `host:port` of the client; `lua` for what a script called.
        words: name, keys and arguments, whole.
    """

    order: int
    at_us: int
    address: str
    words: list[bytes]

    @property
    def name(self) -> str:
        """The command in capitals."""
        return self.words[0].decode(errors="replace").upper()


class Monitor(asyncio.Protocol):
    """A connection that watches.

    Attributes:
        lines: what came so far, as it came.
        bytes_read: how much that was.
        watching: done when the server watches; OSError when it refuses.
        lost: why it ended although nobody stopped it, "" while it did not.
    """

    def __init__(self, answers: int) -> None:
        """`answers` come before the first line: to MONITOR, and to what was asked before it."""
        self.lines: list[bytes] = []
        self.bytes_read = 0
        self.lost = ""
        self._partial = b""
        self._transport: asyncio.Transport | None = None
        self._answers = answers
        self.watching: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped = False

    @classmethod
    async def watch(cls, redis: Redis) -> "Monitor":
        """Watch the server that this client is for; everything that it carries out after this returns is seen.

        Raises:
            LimpetError: the server does not allow it, or does not answer.
        """
        given = redis.connection_pool.connection_kwargs
        host, port = str(given.get("host", "localhost")), int(given.get("port", 6379))
        words = [word for word in (given.get("username"), given.get("password")) if word]
        hello = [["AUTH", *words]] if words else []
        try:
            async with asyncio.timeout(ANSWER_S):
                loop = asyncio.get_running_loop()
                transport, monitor = await loop.create_connection(lambda: cls(len(hello) + 1), host, port)
                transport.write(b"".join(_command(command) for command in (*hello, ["MONITOR"])))
                await monitor.watching
        except (OSError, TimeoutError) as error:
            raise LimpetError(f"MONITOR at {host}:{port}: {error or 'no answer'}") from error
        return monitor

    def stop(self) -> None:
        """Watch no more."""
        self._stopped = True
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep what came; the first lines answer the request."""
        self.bytes_read += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        while lines and not self.watching.done():
            line = lines.pop(0)
            self._answers -= 1
            if line.startswith(b"-"):
                self.watching.set_exception(OSError(line[1:].decode(errors="replace").strip()))
            elif self._answers == 0:
                self.watching.set_result(None)
        self.lines += lines

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nobody wanted it to end."""
        if not self._stopped:
            self.lost = f"the server ended MONITOR after {len(self.lines)} lines: {exc or 'connection closed'}"
        if not self.watching.done():
            self.watching.set_exception(OSError(self.lost))


def parse(lines: list[bytes]) -> list[Monitored]:
    """What the lines say; those that are none of MONITOR's are left out, and leave a hole in `order`."""
    parsed = []
    for order, line in enumerate(lines):
        match = LINE.fullmatch(line)
        if match:
            seconds, micros, _, address, text = match.groups()
            words = [_plain(word) if b"\\" in word else word for word in WORD.findall(text)]
            at_us = int(seconds) * 1_000_000 + int(micros)
            parsed.append(Monitored(order, at_us, address.decode(errors="replace"), words))
    return parsed


def _plain(word: bytes) -> bytes:
    quoted = word.replace(b'\\"', b'"')  # of JSON that is all, and a hundred times in each event
    if b"\\" not in quoted:
        return quoted

    def one(escape: re.Match[bytes]) -> bytes:
        code = escape[1]
        return bytes((int(code[1:], 16),)) if len(code) > 1 else ESCAPED.get(code, code)

    return ESCAPE.sub(one, word)


def _command(words: list[str]) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
