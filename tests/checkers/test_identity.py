from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script
from checkers.written import as_written

from limpet.checkers.identity import check
from limpet.contract import Contract, Log
from limpet.verdict import Verdict

Change = Callable[[int], dict[str, Any]]


def story(starts: int = 10, *, change: Change = lambda _: {}, beats: bool = True, api: bool = True) -> Script:
    script = Script("identity")
    for number in range(starts):
        script.note(
            "start", f"backend-{number}", **({"log": f"id-{number}", "header": f"id-{number}"} | change(number))
        )
        known = {f"id-{n}": {"value": "1", "ttl_ms": 9000} for n in range(max(0, number - 1), number + beats)}
        script.op("heartbeats", value=known)
        script.op("instances", value=[{"instance": f"id-{n}"} for n in range(max(0, number - 1), number + api)])
    return script


def test_ten_starts_with_ten_ids_are_held(gadget: Contract) -> None:
    held(check(story().section(), gadget))


def test_restarts_in_place_are_held(gadget: Contract) -> None:
    held(check(story(change=lambda n: {"restarts": n}).section(), gadget))


def test_an_id_that_comes_again_is_violated(gadget: Contract) -> None:
    violated(
        check(story(change=lambda n: {"log": "id-3", "header": "id-3"} if n == 4 else {}).section(), gadget), "distinct"
    )


def test_another_id_in_the_header_is_violated(gadget: Contract) -> None:
    violated(check(story(change=lambda n: {"header": "backend-4"} if n == 4 else {}).section(), gadget), "header")


def test_no_heartbeat_at_the_start_is_violated(gadget: Contract) -> None:
    violated(check(story(beats=False).section(), gadget), "heartbeat")


def test_an_instance_that_the_api_does_not_know_is_violated(gadget: Contract) -> None:
    violated(check(story(api=False).section(), gadget), "API")


def test_a_start_without_an_id_is_violated(gadget: Contract) -> None:
    nothing = {"log": "", "header": ""}
    violated(check(story(change=lambda n: nothing if n == 4 else {}).section(), gadget), "distinct")


@pytest.mark.parametrize("named", ["log", "header"])
def test_one_that_names_itself_in_one_place_only_is_violated(gadget: Contract, named: str) -> None:
    other = {"log": "header", "header": "log"}[named]
    violated(check(story(change=lambda n: {other: ""} if n == 4 else {}).section(), gadget), "header")


@pytest.mark.parametrize("named", ["log", "header"])
def test_ids_that_are_told_in_one_place_are_judged_by_that(gadget: Contract, named: str) -> None:
    lacks = (
        replace(gadget, log=Log())
        if named == "header"
        else replace(gadget, http=replace(gadget.http, instance_header=None))
    )
    told = {"log": None, "header": None}
    held(check(story(change=lambda n: {**told, named: f"id-{n}"}).section(), lacks))
    violated(check(story(change=lambda n: {**told, named: f"id-{n}" if n else ""}).section(), lacks), "distinct")


def test_an_id_that_comes_again_at_a_restart_is_violated(gadget: Contract) -> None:
    same = {"restarts": 2, "log": "id-3", "header": "id-3"}
    violated(check(story(change=lambda n: same if n == 4 else {}).section(), gadget), "distinct")


def test_an_id_may_be_in_any_of_the_answers_before_the_next_start(gadget: Contract) -> None:
    one = Script("identity")
    for number in range(10):
        one.note("start", f"backend-{number}", log=f"id-{number}", header=f"id-{number}")
        for op in ("heartbeats", "instances"):
            one.op(op, value=[f"id-{number}"])
            one.op(op, value=[])
            one.op(op, value=[], type_="fail")
    held(check(one.section(), gadget))


def test_a_start_after_which_nobody_was_answered_does_not_count(gadget: Contract) -> None:
    for silent in (0, 9):
        one = Script("identity")
        for number in range(10):
            one.note("start", f"backend-{number}", log=f"id-{number}", header=f"id-{number}")
            for op in ("heartbeats", "instances"):
                one.op(op, value=[f"id-{number}"], type_="fail" if number == silent else "ok")
        judgement = check(one.section(), gadget)
        unknown(judgement, "heartbeat", "API")
        assert part(judgement, "API").had == 9


def test_nine_starts_are_unknown(gadget: Contract) -> None:
    unknown(check(story(9).section(), gadget), "distinct", "header", "heartbeat", "API")


def test_what_the_contract_lacks_is_not_counted(bare: Contract) -> None:
    judgement = check(story().section(), bare)
    assert {p.name for p in judgement.parts if p.missing} == {"distinct", "header", "heartbeat", "API"}
    assert judgement.verdict is Verdict.UNKNOWN
    as_written(judgement)
