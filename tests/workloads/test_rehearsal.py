"""From what a backend does once, quietly, it is learnt which command takes the lock and which makes the change."""

from limpet.workloads.rehearsal import Steps, steps

LOCK, RECORD = "lock:session:s", "session:s"


def lines(*commands: str) -> list[bytes]:
    """`A GET k`: by the pod A; `lua GET k`: by the script before."""
    found = []
    for number, command in enumerate(commands):
        who, *words = command.split()
        address = "lua" if who == "lua" else f"127.64.0.{ord(who) - 64}:5000"
        text = " ".join(f'"{word}"' for word in words)
        found.append(f"+17000000{number:02d}.000000 [0 {address}] {text}\r".encode())
    return found


def test_of_plain_commands() -> None:
    seen = lines(f"A SET {LOCK} token NX PX 10000", f"A GET {RECORD}", "A PING", f"A SET {RECORD} 2", f"A DEL {LOCK}")
    assert steps(seen, LOCK, [RECORD]) == Steps("127.64.0.1", 1, 3)


def test_of_scripts_and_of_what_they_look_at_before() -> None:
    seen = lines(
        f"B EXISTS {RECORD}",
        f"B EVALSHA a1 1 {LOCK} token",
        f"lua SET {LOCK} token NX PX 10000",
        f"A GET {RECORD}",
        f"B EVALSHA b1 2 {LOCK} {RECORD} token",
        f"lua GET {LOCK}",
        f"lua SET {RECORD} 2",
        f"B EVALSHA r1 1 {LOCK} token",
        f"lua DEL {LOCK}",
    )
    assert steps(seen, LOCK, [RECORD]) == Steps("127.64.0.2", 2, 3)


def test_of_a_transaction_the_command_that_was_queued() -> None:
    seen = lines(f"A SET {LOCK} token NX EX 10", "A MULTI", "A SREM sessions:active s", f"A DEL {RECORD}", "A EXEC")
    assert steps(seen, LOCK, [RECORD]) == Steps("127.64.0.1", 1, 2)


def test_of_a_record_that_is_not_known_what_comes_next() -> None:
    seen = lines(f"A SET {LOCK} token NX EX 10", f"A DEL {LOCK}")
    assert steps(seen, LOCK, []) == Steps("127.64.0.1", 1, 2)


def test_of_a_backend_that_takes_no_lock_nothing() -> None:
    assert steps(lines(f"A SET {RECORD} 2"), LOCK, [RECORD]) is None
