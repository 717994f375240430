"""What happened to connections, told from two tables of them."""

import pytest

from reference_backend.sources.connections import End, Socket, Watched

HERE, THERE = End("127.0.0.1", 8080), End("127.0.0.1", 40000)


def tcp(src: End, dst: End, state: str, pid: int = 7) -> Socket:
    return Socket("TCP", src, dst, state, pid, 3)


LISTENING = tcp(HERE, End("0.0.0.0", 0), "LISTEN")  # noqa: S104 - nothing is bound


def seen(*tables: list[Socket]) -> list[tuple[str, End, End]]:
    watched = Watched(tables[0])
    return [(c.kind, c.socket.src, c.socket.dst) for table in tables[1:] for c in watched.look(table)]


def test_a_connection_from_a_port_that_listens_was_accepted_and_another_one_connected() -> None:
    both = [tcp(HERE, THERE, "ESTABLISHED"), tcp(THERE, HERE, "ESTABLISHED")]
    assert seen([LISTENING], [LISTENING, *both]) == [("accept", HERE, THERE), ("connect", THERE, HERE)]


@pytest.mark.parametrize("anywhere", ["0.0.0.0", "::"])  # noqa: S104 - nothing is bound
def test_a_port_that_listens_on_all_addresses_accepts(anywhere: str) -> None:
    listening = tcp(End(anywhere, 8080), End(anywhere, 0), "LISTEN")
    assert seen([listening], [listening, tcp(HERE, THERE, "ESTABLISHED")]) == [("accept", HERE, THERE)]


def test_what_was_accepted_before_its_listener_ended_was_accepted() -> None:
    assert seen([LISTENING], [tcp(HERE, THERE, "ESTABLISHED")]) == [("accept", HERE, THERE)]


def test_what_stood_in_the_first_table_did_not_begin() -> None:
    table = [LISTENING, tcp(HERE, THERE, "ESTABLISHED"), tcp(THERE, HERE, "TIME_WAIT")]
    assert seen(table, table) == []


@pytest.mark.parametrize("after", [[], [tcp(THERE, HERE, "TIME_WAIT", 0)], [tcp(THERE, HERE, "FIN_WAIT2", 0)]])
def test_a_close_is_seen_once_with_the_process_that_closed(after: list[Socket]) -> None:
    opened = tcp(THERE, HERE, "ESTABLISHED", 77)
    watched = Watched([opened])
    changes = [change for table in (after, after, []) for change in watched.look(table)]
    assert [(change.kind, change.socket) for change in changes] == [("close", opened)]


def test_the_other_sides_close_is_no_close_of_this_side() -> None:
    assert seen([tcp(THERE, HERE, "ESTABLISHED")], [tcp(THERE, HERE, "CLOSE_WAIT")]) == []


def test_a_connection_between_two_looks_is_seen_while_the_kernel_remembers_it() -> None:
    found = seen([], [tcp(THERE, HERE, "TIME_WAIT", 0)], [])
    assert found == [("connect", THERE, HERE), ("close", THERE, HERE)]


def test_a_connection_that_nobody_has_accepted_yet_is_told_of_when_it_has_a_process() -> None:
    waiting, accepted = tcp(HERE, THERE, "ESTABLISHED", 0), tcp(HERE, THERE, "ESTABLISHED", 77)
    watched = Watched([LISTENING])
    found = [list(watched.look([LISTENING, one])) for one in (waiting, accepted, accepted)]
    assert [[(change.kind, change.socket.pid) for change in changes] for changes in found] == [[], [("accept", 77)], []]


@pytest.mark.parametrize("later", [[], [tcp(HERE, THERE, "ESTABLISHED", 0)]])
def test_one_whose_process_is_never_known_is_told_of_all_the_same(later: list[Socket]) -> None:
    found = seen([LISTENING], [LISTENING, tcp(HERE, THERE, "ESTABLISHED", 0)], [LISTENING, *later], [LISTENING])
    assert found == [("accept", HERE, THERE), ("close", HERE, THERE)]


def test_one_without_a_process_in_the_first_table_did_not_begin() -> None:
    table = [LISTENING, tcp(HERE, THERE, "ESTABLISHED", 0)]
    assert seen(table, table, table) == []


def test_the_same_ends_again_are_a_new_connection() -> None:
    found = seen([tcp(THERE, HERE, "TIME_WAIT", 0)], [tcp(THERE, HERE, "ESTABLISHED")])
    assert found == [("connect", THERE, HERE)]


@pytest.mark.parametrize("state", ["SYN_SENT", "SYN_RECV"])
def test_a_handshake_is_no_connection_yet(state: str) -> None:
    begun = tcp(THERE, HERE, state)
    assert seen([], [begun], []) == []
    assert seen([begun], [tcp(THERE, HERE, "ESTABLISHED")]) == [("connect", THERE, HERE)]
