from typing import Any

from checkers.expect import held, unknown, violated
from checkers.script import Script, pod

from limpet.checkers.replicas import check
from limpet.contract import Contract
from limpet.history import Section
from limpet.verdict import Judgement

PODS = [pod("a"), pod("b")]


def story(
    *, first: list[dict[str, Any]] = PODS, last: list[dict[str, Any]] = PODS, visits: int = 40, serving: str = "ab"
) -> Script:
    script = Script("replicas")
    script.note("target", "local", replicas=2, fresh=True)
    script.note("pods", pods=first)
    for number in range(visits):
        script.op("visit", pod=f"i-{serving[number % len(serving)]}", status=200)
    script.note("pods", pods=last)
    return script


def judge(script: Script, contract: Contract) -> Judgement:
    section: Section = script.section()
    return check(section, contract)


def test_all_ready_and_serving_is_held(gadget: Contract) -> None:
    held(judge(story(), gadget))


def test_uneven_service_is_held(gadget: Contract) -> None:
    held(judge(story(serving="aaaaaaaab"), gadget))


def test_a_pod_that_is_not_ready_is_violated(gadget: Contract) -> None:
    violated(judge(story(last=[pod("a"), pod("b", phase="not ready")]), gadget), "ready")


def test_a_ready_pod_that_never_serves_is_violated(gadget: Contract) -> None:
    violated(judge(story(serving="a"), gadget), "serving")


def test_a_replica_that_answers_nothing_but_errors_is_violated(gadget: Contract) -> None:
    script = story(serving="a", visits=20)
    for _ in range(20):
        script.op("visit", type_="fail", status=500, pod="i-b")
    script.note("pods", pods=PODS)
    violated(judge(script, gadget), "serving")


def test_single_failed_visits_are_for_other_guarantees_to_judge(gadget: Contract) -> None:
    script = story()
    script.op("visit", type_="fail", status=502)
    held(judge(script, gadget))


def test_a_listed_pod_that_is_not_ready_is_violated(gadget: Contract) -> None:
    third = pod("c", phase="terminating", listed=True)
    violated(judge(story(last=[*PODS, third]), gadget), "endpoints")


def test_an_ending_pod_beside_the_declared_ones_is_held(gadget: Contract) -> None:
    held(judge(story(last=[*PODS, pod("c", phase="terminating")]), gadget))


def test_a_restart_is_violated(gadget: Contract) -> None:
    violated(judge(story(last=[pod("a"), pod("b", restarts=1)]), gadget), "restarts")


def test_a_restart_before_the_first_look_at_a_fresh_target_is_violated(gadget: Contract) -> None:
    restarted = [pod("a"), pod("b", restarts=1)]
    violated(judge(story(first=restarted, last=restarted), gadget), "restarts")


def test_every_restart_is_told_once(gadget: Contract) -> None:
    script = story(last=[pod("a"), pod("b", restarts=1)])
    for restarts in (1, 3):
        script.note("pods", pods=[pod("a"), pod("b", restarts=restarts)])
    judgement = judge(script, gadget)
    violated(judgement, "restarts")
    assert [finding.seen for finding in judgement.findings] == ["b was restarted 1 times", "b was restarted 2 times"]


def test_a_pod_that_is_not_ready_need_not_serve(gadget: Contract) -> None:
    violated(judge(story(serving="a", last=[pod("a"), pod("b", phase="terminating")]), gadget), "ready")


def test_no_pod_at_all_is_violated(gadget: Contract) -> None:
    violated(judge(story(last=[]), gadget), "ready")


def test_a_ready_pod_that_the_ingress_does_not_list_is_violated(gadget: Contract) -> None:
    violated(judge(story(last=[pod("a"), pod("b", listed=False)]), gadget), "endpoints")


def test_where_no_pod_tells_its_instance_the_answers_are_counted(gadget: Contract) -> None:
    nameless = [{**one, "instance": ""} for one in PODS]
    held(judge(story(last=nameless), gadget))
    violated(judge(story(last=nameless, serving="a"), gadget), "serving")


def test_who_served_cannot_be_told_by_every_contract(bare: Contract) -> None:
    held(judge(story(), bare))


def test_where_nobody_says_how_many_there_shall_be_a_few_visits_do(gadget: Contract) -> None:
    script = Script("replicas")
    for _ in range(20):
        script.op("visit", pod="i-a")
    unknown(judge(script, gadget), "ready", "endpoints", "restarts")


def test_restarts_in_a_run_are_blamed_where_the_target_is_not_fresh_too(gadget: Contract) -> None:
    script = Script("replicas")
    script.note("target", "kubernetes", replicas=2)
    script.note("pods", pods=[pod("a", restarts=3), pod("b")])
    for number in range(40):
        script.op("visit", pod=f"i-{'ab'[number % 2]}")
    script.note("pods", pods=[pod("a", restarts=4), pod("b")])
    violated(judge(script, gadget), "restarts")


def test_restarts_before_the_run_are_not_blamed_where_the_target_is_not_fresh(gadget: Contract) -> None:
    old = [pod("a", restarts=3), pod("b")]
    script = Script("replicas")
    script.note("target", "kubernetes", replicas=2)
    script.note("pods", pods=old)
    for number in range(40):
        script.op("visit", pod=f"i-{'ab'[number % 2]}")
    script.note("pods", pods=old)
    held(judge(script, gadget))


def test_too_few_visits_are_unknown(gadget: Contract) -> None:
    unknown(judge(story(visits=10), gadget), "serving")


def test_an_empty_history_is_unknown(gadget: Contract) -> None:
    unknown(judge(Script("replicas"), gadget), "ready", "endpoints", "serving", "restarts")
