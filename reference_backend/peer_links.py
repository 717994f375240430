"""Connections to all other replicas, by which each notices at once that another one died.

The other side keeps the answer to one request open and writes into it what its peers want to know. When a process dies,
its connections end; if its address then takes no connection, or another process answers there, it is dead. An end alone
proves nothing: then a new connection is made. Whoever is only silent (paused, cut off, on a lost node) is left to the
lease.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from reference_backend.ending import end
from reference_backend.membership import Member

log = logging.getLogger(__name__)

PATH = "/internal/link"
FROM_HEADER = "X-Peer-Instance"
HELLO_WITHIN_S = 1.0
TELL_AT_LEAST_EVERY_S, SILENT_S = 0.5, 2.0
AGAIN_S = (0.005, 0.5)
HEAD_LINES_MAX = 100


class Told(msgspec.Struct, frozen=True):
    """What a replica tells its peers: how many gadgets run in it, which sources it has, whether it leaves."""

    gadgets: int = 0
    sources: tuple[str, ...] = ()
    draining: bool = False
    gone: bool = False


_told = msgspec.json.Decoder(Told)


@dataclass(slots=True)
class Peer:
    """Another replica. `linked` while the connection to it stands; `given` sessions since it told last, at `told_s`."""

    member: Member
    linked: bool = False
    told: Told = field(default_factory=Told)
    told_s: float = -math.inf
    given: int = 0

    @property
    def able(self) -> bool:
        """Whether it can take sessions: connected, not silent, not about to leave."""
        return self.linked and not self.told.draining and time.monotonic() - self.told_s < SILENT_S

    @property
    def work(self) -> int:
        """How many gadgets run there, as far as is known."""
        return self.told.gadgets + self.given


class PeerLinks:
    """The connections of this replica to its peers.

    Attributes:
        on_dead: called with the instance of a replica that has died for certain.
        on_peer: called when a replica that was not known has made a connection to this one.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._peers: dict[str, Peer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._buried: dict[str, float] = {}
        self._mistrusted: set[str] = set()
        self.on_dead: Callable[[str], None] = lambda _instance: None
        self.on_peer: Callable[[], None] = lambda: None
        self.false_alarms = 0

    @property
    def able(self) -> list[Peer]:
        """Peers that can take sessions."""
        return [peer for peer in self._peers.values() if peer.able]

    def draining(self, instance: str) -> bool:
        """Whether a peer said that it is about to leave."""
        peer = self._peers.get(instance)
        return peer is not None and peer.told.draining

    def sources(self, instance: str) -> tuple[str, ...]:
        """The sources of a peer; none if it is not connected."""
        peer = self._peers.get(instance)
        return peer.told.sources if peer else ()

    def update(self, alive: Sequence[Member], seen_s: float) -> None:
        """These replicas had a heartbeat at `seen_s` (monotonic): keep connections to them, and to no others."""
        wanted = {member.instance: member for member in alive if member.instance != self._instance and member.address}
        for instance in [i for i in self._peers if i not in wanted]:
            self._drop(instance)
        for instance, member in wanted.items():
            died_s = self._buried.get(instance)
            if died_s is not None and died_s < seen_s:
                log.warning("Replica %s was taken for dead and lives; from now on only its lease tells", instance)
                self.false_alarms += 1
                self._mistrusted.add(instance)
                del self._buried[instance]
            if instance not in self._peers and instance not in self._buried:
                self._peers[instance] = Peer(member)
                self._tasks[instance] = asyncio.create_task(self._keep(self._peers[instance]), name=f"link {instance}")

    def called_by(self, instance: str) -> None:
        """A replica has made a connection to this one."""
        if instance not in self._peers:
            self.on_peer()

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks.values())
        for instance in list(self._peers):
            self._drop(instance)
        await end(tasks)

    def _drop(self, instance: str) -> None:
        del self._peers[instance]
        self._tasks.pop(instance).cancel()

    async def _keep(self, peer: Peer) -> None:
        """Stay connected until the peer is dead or gone."""
        pause_s = AGAIN_S[0]
        met = False
        while not peer.told.gone:
            try:
                async with asyncio.timeout(HELLO_WITHIN_S):
                    reader, writer, answers = await self._connect(peer.member.address)
            except ConnectionRefusedError:
                if met and self._died(peer, "its address takes no connection"):
                    return
            except (OSError, TimeoutError, EOFError, ValueError) as error:
                log.debug("No connection to replica %s: %s", peer.member.instance, error or type(error).__name__)
            else:
                try:
                    if answers != peer.member.instance:
                        self._died(peer, f"its address is that of {answers} now")
                        return
                    met, peer.linked, pause_s = True, True, AGAIN_S[0]
                    await self._listen(peer, reader)
                except (OSError, ValueError):
                    pass
                finally:
                    peer.linked = False
                    writer.close()
                if not peer.told.gone:
                    continue
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, AGAIN_S[1])

    async def _connect(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        """Connection, and the instance that answers there."""
        parts = urlsplit(address)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            head = f"GET {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\n{FROM_HEADER}: {self._instance}\r\n\r\n"
            writer.write(head.encode())
            return reader, writer, await _who(reader)
        except BaseException:
            writer.close()
            raise

    async def _listen(self, peer: Peer, reader: asyncio.StreamReader) -> None:
        """Take what the peer tells, until the connection ends."""
        while line := await reader.readline():
            if line.startswith(b"{"):  # else it is one of HTTP's
                with contextlib.suppress(msgspec.DecodeError):
                    peer.told, peer.told_s, peer.given = _told.decode(line), time.monotonic(), 0

    def _died(self, peer: Peer, why: str) -> bool:
        instance = peer.member.instance
        if instance in self._mistrusted:
            return False
        log.warning("Replica %s is dead: %s", instance, why)
        self._buried[instance] = time.monotonic()
        self._peers.pop(instance, None)
        self._tasks.pop(instance, None)
        self.on_dead(instance)
        return True


async def _who(reader: asyncio.StreamReader) -> str:
    """The instance in the head of an answer. Raises EOFError without one, ValueError if it does not say."""
    for _ in range(HEAD_LINES_MAX):
        line = await reader.readline()
        if not line:
            raise EOFError("no answer")
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "x-backend-instance":
            return value.strip()
    raise ValueError("it does not say who it is")
