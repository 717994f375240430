"""What a command does to a key, and what is read of its line in a trace."""

from typing import Any, Final

import pytest
from checkers.script import Script

from limpet.checkers.redis_commands import Command, Write, commands, reads, write

UNTOLD: Final = object()  # a reply that nobody saw
AT_US, AT_S = 1_800_000_000_000_000, 1_800_000_000


def command(text: str, reply: Any = UNTOLD) -> Command:
    name, *args = text.split()
    known = reply is not UNTOLD
    return Command(
        no=1,
        name=name,
        args=tuple(args),
        pod="a",
        source="a:5000",
        unit=1,
        at_us=AT_US,
        known=known,
        delivered=known,
        called=False,
        in_multi=False,
        reply=reply if known else None,
    )


def does(text: str, reply: Any = UNTOLD, key: str = "k") -> Write | None:
    return write(command(text, reply), key)


@pytest.mark.parametrize("text", ["GET k", "PTTL k", "EXISTS j k", "WATCH k", "HMGET k f", "XREVRANGE k - +"])
def test_a_look_at_a_key_changes_nothing(text: str) -> None:
    assert reads(command(text), "k")
    assert not reads(command(text), "other")
    assert does(text) is None


def test_a_write_is_no_look() -> None:
    assert not reads(command("SET k v"), "k")
    assert not reads(command("GETDEL k"), "k")


@pytest.mark.parametrize("text", ["PUBLISH k v", "SUBSCRIBE k", "PING k", "SET j k", "SET j v", "SADD j k", "MSET j k"])
def test_what_names_no_key_or_another_does_nothing_to_it(text: str) -> None:
    assert does(text) is None


@pytest.mark.parametrize(
    "text", ["HSET k f v", "LPUSH k v", "RENAME j k", "COPY j k", "SET k", "EXPIRE k soon", "SETEX k v"]
)
def test_what_is_not_followed_is_said_to_be_some_change(text: str) -> None:
    assert does(text) == Write("other")


def test_what_the_server_refused_does_nothing() -> None:
    assert does("INCR k", {"error": "value is not an integer"}) is None
    assert does("HSET k f v", {"field": 1}) == Write("other")


@pytest.mark.parametrize(
    ("text", "ttl_ms"),
    [
        ("SET k v", None),
        ("SET k v EX 10", 10_000),
        ("SET k v px 10 nx", 10),
        (f"SET k v EXAT {AT_S + 5}", 5000),
        (f"SET k v GET PXAT {AT_S * 1000 + 5}", 5),
    ],
)
def test_a_set_gives_a_life(text: str, ttl_ms: float | None) -> None:
    effect = does(text)
    assert effect is not None
    assert (effect.kind, effect.value, effect.ttl_ms, effect.keeps_ttl) == ("set", "v", ttl_ms, False)


@pytest.mark.parametrize(
    ("option", "only_if"),
    [("", ""), ("NX", "absent"), ("xx", "present"), ("IFEQ w", "equal"), ("KEEPTTL NX", "absent")],
)
def test_a_set_may_have_a_condition(option: str, only_if: str) -> None:
    effect = does(f"SET k v {option}")
    assert effect is not None
    assert (effect.only_if, effect.keeps_ttl, effect.done) == (only_if, "KEEPTTL" in option, None)


@pytest.mark.parametrize(
    ("text", "reply", "done"),
    [
        ("SET k v NX", "OK", True),
        ("SET k v NX", None, False),
        ("SET k v NX", UNTOLD, None),
        ("SET k v GET", "w", None),
        ("SET k v GET XX", None, None),
        ("SET k v NX GET", None, True),
        ("SET k v NX GET", "w", False),
        ("SETNX k v", 1, True),
        ("SETNX k v", 0, False),
        ("SETNX k v", UNTOLD, None),
        ("DEL k", 1, True),
        ("DEL k", 0, False),
        ("UNLINK j k", 2, True),
        ("UNLINK j k", 1, None),
        ("UNLINK j k", 0, False),
        ("DEL k", UNTOLD, None),
        ("DEL k", "QUEUED", None),
        ("GETDEL k", "v", True),
        ("GETDEL k", None, False),
        ("GETDEL k", UNTOLD, None),
        ("DELIFEQ k v", 1, True),
        ("DELIFEQ k v", 0, False),
        ("PERSIST k", 0, False),
        ("EXPIRE k 10", 1, True),
        ("PEXPIREAT k 10", 0, False),
        ("EXPIRE k 10", UNTOLD, None),
    ],
)
def test_a_reply_tells_whether_it_was_done(text: str, reply: Any, done: bool | None) -> None:  # noqa: FBT001  parametrized
    effect = does(text, reply)
    assert effect is not None
    assert effect.done is done


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("MSET j 1 k 2", Write("set", "2")),
        ("SETNX k v", Write("set", "v", only_if="absent")),
        ("SETEX k 10 v", Write("set", "v", 10_000)),
        ("PSETEX k 10 v", Write("set", "v", 10)),
        ("GETSET k v", Write("set", "v")),
        ("DEL k", Write("drop")),
        ("DELIFEQ k v", Write("drop", only_if="equal")),
        ("EXPIRE k 10", Write("expire", ttl_ms=10_000)),
        ("PEXPIRE k 10", Write("expire", ttl_ms=10)),
        (f"EXPIREAT k {AT_S + 10}", Write("expire", ttl_ms=10_000)),
        (f"PEXPIREAT k {AT_S * 1000 + 10}", Write("expire", ttl_ms=10)),
        ("PERSIST k", Write("persist")),
        ("GETEX k", Write("expire", keeps_ttl=True)),
        ("GETEX k persist", Write("persist")),
        ("GETEX k EX 10", Write("expire", ttl_ms=10_000)),
        (f"GETEX k EXAT {AT_S + 10}", Write("expire", ttl_ms=10_000)),
        ("INCR k", Write("count", "1", keeps_ttl=True)),
        ("INCRBY k 5", Write("count", "5", keeps_ttl=True)),
    ],
)
def test_each_command_has_its_effect(text: str, effect: Write) -> None:
    assert does(text) == effect


def test_a_count_is_a_set_to_its_reply() -> None:
    assert does("INCRBY k 5", 12) == Write("set", "12", keeps_ttl=True)
    assert does("INCR k", "QUEUED") == Write("count", "1", keeps_ttl=True)


def told(*lines: dict[str, Any], pod: str = "") -> list[Command]:
    """What is read of these commands."""
    story = Script("locking")
    for data in lines:
        story.add("redis", "GET", pod=pod, **data)
    return list(commands(story.section()))


def test_the_line_of_a_command_is_read() -> None:
    data = {"from": "a:1", "args": ["k"], "order": 7, "unit": 6, "at_us": 8, "reply": "v", "outcome": "replied"}
    assert told({**data, "multi": True}, pod="p") == [
        Command(2, "GET", ("k",), "p", "a:1", 6, 8, True, True, False, True, "v"),  # noqa: FBT003  all of it
    ]


def test_what_a_line_lacks_is_made_up_for() -> None:
    assert told({}, {"from": "::1:5000"}) == [
        Command(2, "GET", (), "", "", 2, 0, False, False, False, False, None),  # noqa: FBT003  all of it
        Command(3, "GET", (), "::1", "::1:5000", 3, 0, False, False, False, False, None),  # noqa: FBT003  all of it
    ]


@pytest.mark.parametrize(
    ("outcome", "known", "delivered"),
    [("replied", True, True), ("undelivered", True, False), ("unknown", False, False), ("refused", False, False)],
)
def test_a_reply_may_be_known_that_its_pod_never_got(outcome: str, known: bool, delivered: bool) -> None:  # noqa: FBT001
    (one,) = told({"outcome": outcome, "order": 1})
    assert (one.known, one.delivered, one.called) == (known, delivered, False)


def test_what_a_script_calls_is_delivered_with_it() -> None:
    called = {"outcome": "called", "order": 3}
    one, lost, other = told(
        *({"outcome": "replied", "order": 1}, {"outcome": "undelivered", "order": 2}),
        *({**called, "script": 1}, {**called, "script": 2}, {**called, "script": 9}),
    )[2:]
    assert (one.delivered, one.called, one.known) == (True, True, False)
    assert (lost.delivered, other.delivered) == (False, False)


def test_only_an_error_is_a_failure() -> None:
    assert command("INCR k", {"error": "no"}).failed
    assert not command("HGETALL k", {"field": "error"}).failed
    assert not command("GET k", "error").failed
