from collections.abc import Callable
from typing import Any

from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.identity import check
from limpet.contract import Contract
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
    judgement = check(story(change=lambda n: {"log": "", "header": ""} if n == 4 else {}).section(), gadget)
    assert part(judgement, "distinct").verdict is Verdict.VIOLATED


def test_nine_starts_are_unknown(gadget: Contract) -> None:
    unknown(check(story(9).section(), gadget), "distinct", "header", "heartbeat", "API")


def test_what_the_contract_lacks_is_not_counted(bare: Contract) -> None:
    judgement = check(story().section(), bare)
    assert {p.name for p in judgement.parts if p.missing} == {"distinct", "header", "heartbeat", "API"}
    assert judgement.verdict is Verdict.UNKNOWN
