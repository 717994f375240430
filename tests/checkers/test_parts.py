"""What checkers share."""

from dataclasses import replace
from typing import Any

import pytest
from checkers.script import Script

from limpet.checkers.parts import FINDINGS_MAX, Answerers, PartBuilder, pods_of, replicas_declared
from limpet.contract import Contract
from limpet.history import Line, Section
from limpet.verdict import Finding, Verdict


def builder(enough: int = 2) -> PartBuilder:
    return PartBuilder(Script("replicas").section(), "ready", "looks", enough)


@pytest.mark.parametrize(("had", "verdict"), [(2, Verdict.HELD), (1, Verdict.UNKNOWN)])
def test_a_part_is_held_with_enough_evidence_only(had: int, verdict: Verdict) -> None:
    part = builder()
    part.had = had
    assert part.done().verdict is verdict


def test_a_part_that_is_doubted_is_unknown_and_one_that_lacks_something_says_so() -> None:
    part = builder()
    part.had, part.doubt = 2, "nobody looked"
    assert (part.done().verdict, part.done().doubt) == (Verdict.UNKNOWN, "nobody looked")
    part.doubt, part.missing = "", "not in the contract"
    assert part.done().missing == "not in the contract"


def test_a_finding_has_its_lines_in_order_or_the_whole_file() -> None:
    part = builder()
    part.find("one", expected="two", lines=(7, 3))
    part.find("none", expected="two")
    done = part.done()
    assert done.findings == (
        Finding("ready", "two", "one", "history-replicas.jsonl lines 3, 7"),
        Finding("ready", "two", "none", "history-replicas.jsonl"),
    )
    assert done.verdict is Verdict.VIOLATED


@pytest.mark.parametrize(("found", "more"), [(FINDINGS_MAX, ""), (FINDINGS_MAX + 2, "; and 2 more like these")])
def test_of_many_findings_the_first_are_shown_and_the_rest_counted(found: int, more: str) -> None:
    part = builder()
    for number in range(found):
        part.find(f"number {number}", expected="none", lines=(2,))
    last = part.done().findings[-1]
    assert last == Finding("ready", "none", f"number {FINDINGS_MAX - 1}{more}", "history-replicas.jsonl line 2")
    assert len(part.done().findings) == FINDINGS_MAX
    assert part.done().findings[-1] == last


def test_the_replicas_are_those_of_the_target() -> None:
    one = Script("replicas")
    assert replicas_declared(one.section()) == 0
    one.note("target", "local")
    assert replicas_declared(one.section()) == 0
    other = Script("replicas")
    other.note("target", "local", replicas=3)
    assert replicas_declared(other.section()) == 3


def test_a_line_without_pods_has_none() -> None:
    assert pods_of(Line(0, "pods")) == []
    assert pods_of(Line(0, "pods", data={"pods": ({"name": "a"},)})) == [{"name": "a"}]


def looked(*looks: tuple[str, Any, str]) -> Section:
    """Looks at sessions in Redis, and a visit of each kind."""
    one = Script("replicas")
    for session, value, type_ in looks:
        one.op("look", session=session, value=value, type_=type_)
    one.op("create", session="s")
    one.op("create", session="s", pod="i-a")
    one.op("create", session="t")
    one.add("invoke", "create", 1)
    return one.section()


@pytest.mark.parametrize(
    ("looks", "owner"),
    [
        ([("s", {"owners": ["i-b"]}, "ok")], "i-b"),
        ([("s", {"owners": ["i-b"]}, "ok"), ("s", {"owners": ["i-c"]}, "ok")], "i-b"),
        ([("s", {"owners": ["i-b", "i-c"]}, "ok")], ""),
        ([("s", {"owners": []}, "ok"), ("s", {}, "ok"), ("s", {"owners": ["i-b"]}, "fail")], ""),
        ([], ""),
    ],
)
def test_who_answered_is_told_by_the_header_or_else_by_the_only_first_owner(
    looks: list[tuple[str, Any, str]], owner: str
) -> None:
    section = looked(*looks)
    who = Answerers(section)
    assert [who.of(op) for op in section.ops("create")] == [owner, "i-a", "", ""]


def test_a_contract_must_let_it_be_told(gadget: Contract, bare: Contract) -> None:
    headless = replace(gadget, http=replace(gadget.http, instance_header=None))
    ownerless = replace(gadget, redis=replace(gadget.redis, owned=None))
    neither = "neither http.instance_header nor redis.owned is in the contract"
    assert [Answerers.missing(one) for one in (gadget, headless, ownerless, bare)] == ["", "", "", neither]


def test_of_a_socket_the_owner_tells_it_where_he_alone_serves_it(gadget: Contract, bare: Contract) -> None:
    assert gadget.websocket
    headless = replace(gadget, http=replace(gadget.http, instance_header=None))
    tied, free = (
        replace(headless, websocket=replace(gadget.websocket, any_replica=any_replica)) for any_replica in (False, True)
    )
    lacking = "http.instance_header is not in the contract"
    assert [Answerers.missing_for_sockets(one) for one in (gadget, tied, free)] == ["", "", lacking]
    ownerless = replace(tied, redis=replace(tied.redis, owned=None))
    assert Answerers.missing_for_sockets(ownerless) == lacking
    assert Answerers.missing_for_sockets(bare) == "[websocket] is not in the contract"
