from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script, pod

from limpet.checkers.scaling import BURST_PER_REPLICA, STEPS, check
from limpet.contract import Contract
from limpet.verdict import Verdict

REPLICAS: dict[int, tuple[str, ...]] = {0: ("a", "b"), 1: ("a", "b", "c"), 2: ("a", "b", "c", "d", "e"), 3: ("a", "b")}


class Story:
    """Four steps with traffic on the way; subclasses change what is registered, who works, and what is there after."""

    looked_after_s = 17.0  # how long after a step the last look at the heartbeats begins
    log = True
    rounds = 10
    sessions_per_replica = BURST_PER_REPLICA
    reached = len(STEPS)

    def beating(self, step: int, after_s: float) -> set[str]:
        return {f"i-{name}" for name in REPLICAS[step]}

    def answers(self, step: int, number: int) -> str:
        names = REPLICAS[step]
        return f"i-{names[number % len(names)]}"

    def owner(self, step: int, answered: str) -> str:
        return answered

    def traffic(self, script: Script, step: int) -> None:
        for number in range(self.rounds):
            script.op("create", 10, f"t{step}.{number}", pod="i-a")
            script.op("read", 10, f"t{step}.{number}", {"id": f"t{step}.{number}"}, status=200)
            script.op("list", 10, value=[])
            if number % 2:
                script.op("delete", 10, f"t{step}.{number}")

    def listed(self, replica: str, ids: list[str]) -> list[str]:
        return ids

    def views(self) -> Sequence[str]:
        return REPLICAS[3]

    def look(self, script: Script, step: int, after_s: float) -> None:
        keys = {name: {"value": "1", "ttl_ms": 9000} for name in self.beating(step, after_s)}
        script.op("heartbeats", 2, value=keys, server_time=1.0)

    def tell(self) -> Script:
        script = Script("scaling")
        for step, replicas in enumerate(STEPS):
            script.note("scale", str(replicas))
            if step == self.reached:
                script.note("not scaled", str(replicas), why="3 of 5 ready")
                break
            self.traffic(script, step)
            script.note("scaled", str(replicas))
            script.note("pods", pods=[pod(name) | ({} if self.log else {"instance": ""}) for name in REPLICAS[step]])
            self.look(script, step, 0.0)
            script.wait(self.looked_after_s)
            self.look(script, step, self.looked_after_s)
            for number in range(replicas * self.sessions_per_replica):
                answered, session = self.answers(step, number), f"w{step}.{number}"
                script.op("new work", 20, session, pod=answered)
                script.op("look", 2, session, {"owners": [self.owner(step, answered)]}, step="who")
                script.op("delete", 20, session)
        ids = [f"t{step}.{number}" for step in range(len(STEPS)) for number in range(0, self.rounds, 2)]
        ids += [f"kept {number}" for number in range(10)]
        for number in range(10):
            script.op("create", 11, f"kept {number}")
        for number, name in enumerate(self.views()):
            script.note("view", name, process=90 + number)
            script.op("list", 90 + number, value=self.listed(name, ids))
        return script


def test_replicas_that_follow_are_held(gadget: Contract, guide: Contract) -> None:
    section = Story().tell().section()
    held(check(section, gadget))
    held(check(section, guide))


@pytest.mark.parametrize("seed", range(5))
def test_work_that_goes_by_chance_is_held(gadget: Contract, seed: int) -> None:
    class Lucky(Story):
        def answers(self, step: int, number: int) -> str:
            return f"i-{Random(f'{seed}/{step}/{number}').choice(REPLICAS[step])}"

    held(check(Lucky().tell().section(), gadget))


def test_work_that_prefers_new_replicas_is_held(gadget: Contract) -> None:
    class Least(Story):
        def answers(self, step: int, number: int) -> str:
            new = [name for name in REPLICAS[step] if name not in REPLICAS[max(step - 1, 0)]] or REPLICAS[step]
            return f"i-{new[number % len(new)]}"

    held(check(Least().tell().section(), gadget))


def test_a_new_replica_that_gets_no_work_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def answers(self, step: int, number: int) -> str:
            return super().answers(step, number).replace("i-c", "i-a")

    violated(check(Bug().tell().section(), gadget), "new work")


def test_a_new_replica_that_answers_and_leaves_the_work_to_others_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def owner(self, step: int, answered: str) -> str:
            return answered if answered in ("i-a", "i-b") else "i-a"

    violated(check(Bug().tell().section(), gadget), "new work")


def test_a_replica_without_luck_in_few_sessions_is_not_blamed(gadget: Contract) -> None:
    class Thin(Story):
        def answers(self, step: int, number: int) -> str:
            return "i-a" if number < 10 else ""

        def owner(self, step: int, answered: str) -> str:
            return answered

    unknown(check(Thin().tell().section(), gadget), "new work")


def test_without_an_instance_header_the_owner_tells_who_works(guide: Contract) -> None:
    class Silent(Story):
        def answers(self, step: int, number: int) -> str:
            return ""

        def owner(self, step: int, answered: str) -> str:
            return "i-a"

    violated(check(Silent().tell().section(), guide), "new work")


def test_a_replica_that_never_registers_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def beating(self, step: int, after_s: float) -> set[str]:
            return super().beating(step, after_s) - {"i-d"}

    violated(check(Bug().tell().section(), gadget), "registered")


def test_a_registration_that_stays_beyond_the_ttl_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def beating(self, step: int, after_s: float) -> set[str]:
            return super().beating(step, after_s) | ({"i-e"} if step == 3 else set())

    violated(check(Bug().tell().section(), gadget), "registered")


def test_a_stale_registration_in_place_of_a_live_one_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def beating(self, step: int, after_s: float) -> set[str]:
            return {"i-a", "i-e"} if step == 3 else super().beating(step, after_s)

    violated(check(Bug().tell().section(), gadget), "registered")


def test_registrations_that_follow_within_the_ttl_are_held(gadget: Contract) -> None:
    class Slow(Story):
        def beating(self, step: int, after_s: float) -> set[str]:
            return super().beating(step if after_s > 14 else max(step - 1, 0), after_s)

    held(check(Slow().tell().section(), gadget))


def test_a_registration_that_goes_while_it_is_read_is_held(gadget: Contract) -> None:
    class Fine(Story):
        def look(self, script: Script, step: int, after_s: float) -> None:
            keys = {name: {"value": "1", "ttl_ms": 9000} for name in self.beating(step, after_s)}
            script.op("heartbeats", 2, value=keys | {"i-z": {"value": None, "ttl_ms": -2}}, server_time=1.0)

    held(check(Fine().tell().section(), gadget))


def test_a_look_that_came_too_early_blames_nobody(gadget: Contract) -> None:
    class Busy(Story):
        looked_after_s = 6.0

        def beating(self, step: int, after_s: float) -> set[str]:
            return super().beating(2 if step == 3 else step, after_s)

    unknown(check(Busy().tell().section(), gadget), "registered")


def test_where_logs_do_not_name_instances_registrations_are_counted(gadget: Contract) -> None:
    class Nameless(Story):
        log = False

        def beating(self, step: int, after_s: float) -> set[str]:
            return {f"some {number}" for number in range(STEPS[step])}

    class Bug(Nameless):
        def beating(self, step: int, after_s: float) -> set[str]:
            return {"shared"}

    held(check(Nameless().tell().section(), gadget))
    violated(check(Bug().tell().section(), gadget), "registered")


def test_a_session_that_one_replica_does_not_list_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def listed(self, replica: str, ids: list[str]) -> list[str]:
            return ids[1:] if replica == "b" else ids

    violated(check(Bug().tell().section(), gadget), "nothing lost")


def test_a_session_that_cannot_be_read_is_violated(gadget: Contract) -> None:
    script = Story().tell()
    script.op("read", 90, "kept 3", None, status=404)
    violated(check(script.section(), gadget), "nothing lost")


def test_a_session_that_was_deleted_may_be_missing(gadget: Contract) -> None:
    script = Story().tell()
    script.op("read", 90, "t1.1", None, status=404)
    script.op("delete", 90, "kept 3", type_="info", error="reset")
    script.op("read", 90, "kept 3", None, status=404)
    judgement = check(script.section(), gadget)
    violated(judgement, "no failed request")


@pytest.mark.parametrize("op", ["create", "list", "read", "delete", "new work"])
def test_a_request_that_fails_while_replicas_come_and_go_is_violated(gadget: Contract, op: str) -> None:
    class Bug(Story):
        def traffic(self, script: Script, step: int) -> None:
            super().traffic(script, step)
            if step == 3:
                script.op(op, 12, "", type_="info", status=502, text="Bad Gateway")

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "no failed request")
    assert "on the way to 2 replicas: 502 Bad Gateway" in part(judgement, "no failed request").reason


def test_a_step_that_is_not_reached_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        reached = 2

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "ready")
    assert part(judgement, "registered").verdict is Verdict.UNKNOWN


def test_a_replica_whose_list_nobody_asked_for_is_unknown(gadget: Contract) -> None:
    class Thin(Story):
        def views(self) -> Sequence[str]:
            return "a"

    unknown(check(Thin().tell().section(), gadget), "nothing lost")


def test_without_heartbeat_keys_the_rest_is_judged(gadget: Contract) -> None:
    keyless = replace(gadget, redis=replace(gadget.redis, heartbeat=None))
    judgement = check(Story().tell().section(), keyless)
    assert part(judgement, "registered").missing
    held(judgement)


def test_without_anything_that_tells_who_works_the_rest_is_judged(bare: Contract) -> None:
    judgement = check(Story().tell().section(), bare)
    assert part(judgement, "new work").missing
    held(judgement)
