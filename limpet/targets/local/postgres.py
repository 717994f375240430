"""The database of the stack: PostgreSQL 18, over TCP, without root and without a system user.

Durability against a crash of the machine is off (the data lives as long as the stack), against a killed process it is
not. Shared memory is in files of the data folder, so that a killed server leaves none behind.
"""

import signal
from pathlib import Path

from limpet.errors import PartFailedError
from limpet.targets.local import programs
from limpet.targets.local.logs import last_words
from limpet.targets.local.part import Part, said_status
from limpet.targets.local.processes import Command, Processes

INITDB_OPTIONS = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-locale")
POD_RULE = "host all all 127.0.0.0/8 trust\n"  # a pod's connections come from an address of its own
STATUS_LINE = 7  # of postmaster.pid; pg_ctl waits for the same
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Part):
    """One PostgreSQL server."""

    end_signal = signal.SIGINT  # fast shutdown; SIGTERM would wait for its clients to leave

    def __init__(self, processes: Processes, log: Path, port: int) -> None:
        super().__init__("postgres", processes, log, port)
        self._programs = programs.postgres()
        self._folder = processes.folder / "postgres"
        self._data = self._folder / "data"

    async def prepare(self) -> None:
        """Make a new database cluster."""
        self._folder.mkdir()
        argv = [str(self._programs / "initdb"), *INITDB_OPTIONS, "--wal-segsize=1", "-D", str(self._data)]
        status = await (await self._processes.start(self._command(argv))).wait()
        if status:
            reason = f"initdb ended with {said_status(status)}: {last_words(self.log)}"
            raise PartFailedError(self.name, reason, str(self.log))
        with (self._data / "pg_hba.conf").open("a", encoding="ascii") as rules:
            rules.write(POD_RULE)

    def command(self) -> Command:
        """The server itself."""
        options = (word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}"))
        return self._command(
            [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port), *options],
        )

    async def answers(self) -> bool:
        """Whether the server says in its lock file that it takes connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return ours and len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"

    def _command(self, argv: list[str]) -> Command:
        return Command(
            self.name,
            argv,
            self.log,
            self._folder,
            unprivileged=self._folder,
            death_signal=signal.SIGQUIT,  # which lets it remove its shared memory
        )
