"""Ports are free when they are taken, and nobody gets one that another holds."""

import signal
import socket
import subprocess
import sys

import pytest

from limpet.errors import PartFailedError
from limpet.targets.local.ports import EPHEMERAL, Ports


@pytest.fixture
def ports() -> Ports:
    return Ports()


def test_two_stacks_that_begin_at_the_same_port_get_different_ones(ports: Ports) -> None:
    other = Ports()
    other._next = ports._next
    taken = [holder.take() for _ in range(20) for holder in (ports, other)]
    assert len(set(taken)) == 40
    ports.close()
    other.close()


def test_a_port_that_somebody_listens_on_is_passed_over(ports: Ports) -> None:
    free = ports.take()
    ports.give_back(free)
    with socket.create_server(("127.0.0.1", free)):
        ports._next = free
        assert ports.take() != free
    ports.close()


def test_ports_lie_below_those_of_outgoing_connections(ports: Ports) -> None:
    lowest = int(EPHEMERAL.read_text().split()[0])
    assert all(ports.take() < lowest for _ in range(10))
    ports.close()


def test_a_port_can_be_taken_again_when_it_was_given_back(ports: Ports) -> None:
    port = ports.take()
    ports.give_back(port)
    assert ports.take_fixed(port) == port
    ports.close()


def test_a_fixed_port_that_another_stack_holds_is_refused_with_the_remedy(ports: Ports) -> None:
    other = Ports()
    port = other.take()
    with pytest.raises(PartFailedError, match=f"port {port} is in use; give another one, or none"):
        ports.take_fixed(port)
    other.close()


def test_ports_of_a_killed_process_are_free_again(ports: Ports) -> None:
    code = "from limpet.targets.local.ports import Ports; print(Ports().take(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code.replace("Ports().take()", "(held := Ports()).take()")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        with pytest.raises(PartFailedError):
            ports.take_fixed(port)
        holder.send_signal(signal.SIGKILL)
    assert ports.take_fixed(port) == port
    ports.close()
