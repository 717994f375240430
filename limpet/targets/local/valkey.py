"""Redis for the stack: Valkey, with every acknowledged write on disk, as the contract requires."""

import asyncio
from pathlib import Path

from limpet.targets.local import programs
from limpet.targets.local.part import Part
from limpet.targets.local.processes import Command, Processes


class Valkey(Part):
    """One Valkey server."""

    def __init__(self, processes: Processes, log: Path, port: int) -> None:
        super().__init__("redis", processes, log, port)
        self._program = programs.valkey()
        self._folder = processes.folder / "redis"

    async def prepare(self) -> None:
        """Make its folder."""
        self._folder.mkdir()

    def command(self) -> Command:
        """Append-only with a sync at every write, nothing evicted, no snapshots."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        argv = [str(self._program), *(word for key, value in options.items() for word in (f"--{key}", value))]
        return Command(self.name, argv, self.log, self._folder)

    async def answers(self) -> bool:
        """Whether PING is answered; while it loads its file it is not."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()
