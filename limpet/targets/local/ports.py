"""Ports that are free when they are taken, and stay ours until a program has bound them.

A port is reserved by a bind to a Unix socket of the abstract kind that is named after it: the kernel lets go of it when
its holder dies, however it dies, and it is seen by every user of this machine. Ports come from below the range out of
which the kernel gives ports to outgoing connections, so that none of those takes one meanwhile. Whether somebody who
does not know of this uses a port is found by binding it.
"""

import random
import socket
import sys
from pathlib import Path

from limpet.errors import PartFailedError

LOWEST = 20_000
HIGHEST_DEFAULT = 32_767
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Ports:
    """The ports of one stack."""

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}
        highest = HIGHEST_DEFAULT
        if EPHEMERAL.exists():
            highest = max(int(EPHEMERAL.read_text(encoding="ascii").split()[0]) - 1, LOWEST + 999)
        self._range = range(LOWEST, highest + 1)
        self._next = random.SystemRandom().choice(self._range)  # two stacks that start at once begin apart

    def take(self) -> int:
        """A port that nobody has, a different one each time until the range was gone through."""
        for _ in self._range:
            port = self._next
            self._next = self._range[(port + 1 - LOWEST) % len(self._range)]
            if self._reserve(port):
                return port
        raise PartFailedError("ports", f"none is free from {self._range[0]} to {self._range[-1]}; end other stacks")

    def take_fixed(self, port: int) -> int:
        """This port. Raises PartFailedError when it is in use."""
        if not self._reserve(port):
            raise PartFailedError(
                "ingress", f"port {port} is in use; give another one, or none (--port 0) for one that is free"
            )
        return port

    def give_back(self, port: int) -> None:
        """Let others have a port again."""
        self._held.pop(port).close()

    def close(self) -> None:
        """Give all ports back."""
        for port in list(self._held):
            self.give_back(port)

    def _reserve(self, port: int) -> bool:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            if sys.platform == "linux":  # elsewhere the probe has to do
                claim.bind(f"\0limpet-port-{port}")
            with socket.socket() as probe:
                probe.bind(("", port))  # not listened on; every address, since a pod may bind them all
        except OSError:
            claim.close()
            return False
        self._held[port] = claim
        return True
