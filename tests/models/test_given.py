"""Reading histories: what is joined, and what is said of mistakes."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from models.story import Story

from limpet.errors import HistoryError
from limpet.models.base import NEVER
from limpet.models.catalogue import MODELS
from limpet.models.given import Numbered, json_lines, operations
from limpet.models.porcupine import etcd_lines, kv_lines

REGISTER = MODELS["register"]
INVOKE = b'{"process": 1, "type": "invoke", "op": "write", "key": "x", "value": 3}'
OK = b'{"process": 1, "type": "ok", "op": "write", "key": "x"}'


def said(*texts: bytes, model: str = "register") -> str:
    with pytest.raises(HistoryError) as caught:
        list(operations(json_lines(texts, "h.jsonl"), MODELS[model], "h.jsonl"))
    return str(caught.value)


def test_an_operation_is_joined_from_its_two_lines() -> None:
    (one,) = operations(json_lines([INVOKE, b"\n", OK], "h"), REGISTER, "h")
    assert (one.key, one.start, one.end, one.lines, one.action.argument) == ("x", 1, 3, (1, 3), 3)


def test_an_operation_that_never_came_back_may_have_happened() -> None:
    (one,) = operations(json_lines([INVOKE], "h"), REGISTER, "h")
    assert (one.key, one.end, one.lines, one.action.outcome) == ("x", NEVER, (1,), "info")


def test_a_line_of_a_recorded_run_is_read_and_what_is_no_operation_passed_over() -> None:
    texts = [
        b'{"t": 1, "type": "begin", "op": "shared-view"}',
        b'{"t": 2, "type": "invoke", "op": "read", "process": 4, "session": "s"}',
        b'{"t": 3, "type": "fault", "op": "kill", "data": {"pod": "a"}}',
        b'{"t": 4, "type": "ok", "op": "read", "process": 4, "session": "s", "value": 7, "pod": "a", "data": {"n": 2}}',
    ]
    (one,) = operations(json_lines(texts, "h"), REGISTER, "h")
    assert (one.key, one.lines, one.action.result) == ("s", (2, 4), 7)


def test_the_session_of_a_create_is_told_by_its_answer() -> None:
    story = Story("")
    story.call(1, "create")
    story.key = "new"
    story.back(1, "create")
    (one,) = operations(story.numbered(), MODELS["session"], "h")
    assert one.key == "new"


def test_a_mistake_is_named_with_its_line_and_what_to_write() -> None:
    assert said(INVOKE, b"{nonsense").startswith("h.jsonl line 2: ")
    assert "a line is {" in said(b'{"type": "invoke", "sesion": "s"}')
    assert "h.jsonl line 1: register has no op 'writ'; did you mean 'write'?" in said(
        INVOKE.replace(b'"write"', b'"writ"')
    )
    assert "register has no op 'swim'; it has read, write; --model" in said(INVOKE.replace(b"write", b"swim"))
    assert "h.jsonl line 2: process 1 begins an operation, and its last one (line 1) has not come back" in said(
        INVOKE, INVOKE
    )
    assert "h.jsonl line 1: process 1 completes 'write', which it never began" in said(OK)
    assert "it had begun 'write' (line 1)" in said(INVOKE, OK.replace(b'"write"', b'"read"'))
    assert "h.jsonl line 2: the type 'done' is unknown; write invoke, ok, fail or info" in said(
        INVOKE, OK.replace(b"ok", b"done")
    )


def test_a_wrong_value_of_what_never_came_back_is_named_with_its_line() -> None:
    asked = INVOKE.replace(b'"write"', b'"cas"')
    assert said(b"", asked, model="cas") == "h.jsonl line 2: the value of a cas is 3; write [from, to]"


@pytest.mark.parametrize(
    ("model", "op", "value", "answer", "remedy"),
    [
        ("cas", "cas", 3, None, "write [from, to]"),
        ("cas", "cas", [1], None, "write [from, to]"),
        ("map", "put", 3, None, "write it in quotes"),
        ("fenced-mutex", "acquire", None, "a", "write a whole number"),
        ("fenced-mutex", "acquire", None, None, "write a whole number"),
        ("session", "list", None, "x", 'write the ids as ["..."]'),
        ("session", "read", None, 3, '"revision": 1'),
        ("session", "read", None, {"revision": "1"}, "write a whole number"),
        ("session", "update", "b", None, '"if_match": 3'),
    ],
)
def test_a_value_that_is_none_is_named_with_its_line(
    model: str, op: str, value: object, answer: object, remedy: str
) -> None:
    story = Story()
    story.does(1, op, value, answer)
    with pytest.raises(HistoryError, match="h line 2: ") as caught:
        list(operations(story.numbered(), MODELS[model], "h"))
    assert remedy in str(caught.value)


def test_lines_of_etcd_are_read_however_they_are_spaced() -> None:
    tabs, spaces = "INFO  jepsen.util - 2\t:invoke\t:cas\t[3 0]\n", "INFO  jepsen.util - 2   :fail   :cas    [3 0]\n"
    first, second = (line for _, line in etcd_lines([tabs, "\n", spaces], "h"))
    assert (first.process, first.type, first.op, first.value) == (2, "invoke", "cas", [3, 0])
    assert (second.type, second.data) == ("fail", {})


def test_a_time_out_of_etcd_is_no_answer() -> None:
    ((_, line),) = etcd_lines(["INFO  jepsen.util - 2\t:fail\t:read\t:timed-out"], "h")
    assert (line.value, "error" in line.data) == (None, True)


def test_lines_of_kv_are_read_with_their_escapes() -> None:
    ((no, line),) = kv_lines(['{:process 0, :type :ok, :f :get, :key "5", :value "a \\"b\\" \\\\ c\\n\\t\\r"}\n'], "h")
    assert (no, line.key, line.value) == (1, "5", 'a "b" \\ c\n\t\r')
    assert (line.process, line.type, line.op) == (0, "ok", "get")
    ((_, line),) = kv_lines(['{:process 0, :type :invoke, :f :get, :key "5", :value nil}'], "h")
    assert line.value is None


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (etcd_lines, "INFO  jepsen.util - 2\t:invoke\t:swap\t[3 0]"),
        (etcd_lines, "INFO  jepsen.util - 2\t:invoke\t:cas\t[3 0 1]"),
        (etcd_lines, "INFO  jepsen.util - 2\t:invoke\t:write\tx"),
        (kv_lines, '{:process 0, :type :ok, :f :get, :key "5"}'),
        (kv_lines, "INFO  jepsen.util - 2\t:invoke\t:cas\t[3 0]"),
    ],
)
def test_other_lines_are_refused_with_their_number(
    parse: Callable[[Iterable[str], str], Iterator[Numbered]], text: str
) -> None:
    with pytest.raises(HistoryError, match="h line 2"):
        list(parse(["\n", text], "h"))


@pytest.mark.parametrize("parse", [etcd_lines, kv_lines])
def test_a_long_line_that_is_refused_is_not_shown_whole(
    parse: Callable[[Iterable[str], str], Iterator[Numbered]],
) -> None:
    with pytest.raises(HistoryError, match=f"'{'x' * 80}'"):
        list(parse(["x" * 200], "h"))
