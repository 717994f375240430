from dataclasses import replace

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.availability import FAULTS, QUIET, REQUESTS, check
from limpet.contract import Contract
from limpet.verdict import Verdict

CLIENTS = (0, 1, 2)  # of each round: bound to the replica that is lost, to the other one, to none
LOST, OTHER, NEW = "i-a", "i-b", "i-c"


class Story:
    """Three losses. Each time one request fails at once; later ones go to the other replica, then to a new one too."""

    faults: tuple[str, ...] = FAULTS
    unlists = True
    recovers = True
    bites = True
    requests = REQUESTS
    header = True
    replicas = 2

    def tell(self) -> Script:
        self.script = script = Script("availability")
        script.note("target", "local", replicas=self.replicas)
        for round_, fault in enumerate(self.faults):
            self.round = round_
            self.process = {number: 1000 * self.round + 100 * number for number in CLIENTS}
            for number in CLIENTS:
                self.begins(number)
            self.quietly()
            script.note("struck", fault, pod="a", instance=LOST)
            script.note("fault", "inject", fault=fault)
            self.lost()
            script.note("fault", "effect" if self.bites else "no effect", fault=fault, why="still there")
            self.meanwhile()
            script.note("fault", "recovered" if self.recovers else "not recovered", fault=fault, why="1 of 2 ready")
            self.answered(2, NEW)
        return script

    def begins(self, number: int) -> None:
        self.script.note("client", number=self.name(number), process=self.process[number], sticky=number < 2)

    def name(self, number: int) -> int:
        return 10 * self.round + number

    def quietly(self) -> None:
        for turn in range(QUIET // 4):
            for number in CLIENTS:
                self.answered(number, OTHER if number == 1 or (turn % 2 and number == 2) else LOST)

    def lost(self) -> None:
        """What comes right with the fault."""
        self.fails(0, status=502)
        if self.unlists:
            self.script.note("pod", "unlisted", name="a")

    def meanwhile(self) -> None:
        self.script.wait(0.9)
        self.fails(0, status=502)
        for _ in range(self.requests):
            self.script.wait(0.05)
            for number in CLIENTS:
                self.answered(number, OTHER)

    def answered(self, number: int, pod: str, op: str = "read", took_s: float = 0.0) -> None:
        self.script.add("invoke", op, self.process[number], "s")
        self.script.wait(took_s)
        self.script.add("ok", op, self.process[number], "s", pod=pod if self.header else "", status=200)

    def fails(self, number: int, op: str = "read", type_: str = "info", **data: object) -> None:
        """A request that comes to nothing; what nobody answered retires its process number."""
        self.script.add("invoke", op, self.process[number], "s")
        self.script.add(type_, op, self.process[number], "s", **data)
        if type_ == "info":
            self.process[number] += 1
            self.begins(number)


def test_failures_of_what_was_bound_to_the_lost_replica_are_held(gadget: Contract) -> None:
    judgement = check(Story().tell().section(), gadget)
    held(judgement)
    told = f"2 of {2 + 3 * REQUESTS} failed (502 x 2), sent 0.00 to 0.91 s after it"
    assert judgement.evidence["pod kill"] == told


def test_no_failure_at_all_is_held(gadget: Contract) -> None:
    class Lucky(Story):
        def fails(self, number: int, op: str = "read", type_: str = "info", **data: object) -> None:
            self.answered(number, LOST)

    held(check(Lucky().tell().section(), gadget))


def test_a_failure_of_a_request_sent_too_late_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def meanwhile(self) -> None:
            super().meanwhile()
            if self.round == 1:
                self.fails(2, status=503)

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "cut off from Redis")
    assert "after a was unlisted" in part(judgement, "cut off from Redis").reason


def test_a_request_that_was_sent_in_time_may_fail_late(gadget: Contract) -> None:
    class Slow(Story):
        def lost(self) -> None:
            super().lost()
            self.script.add("invoke", "list", 77)

        def meanwhile(self) -> None:
            super().meanwhile()
            self.script.wait(4.0)
            self.script.add("info", "list", 77, error="ClientError: ReadTimeout: ")

    judgement = check(Slow().tell().section(), gadget)
    held(judgement)
    assert "ClientError x 1" in str(judgement.evidence["pod pause"])


@pytest.mark.parametrize(
    ("type_", "data"), [("info", {"error": "ClientError: ReadTimeout: "}), ("fail", {"status": 503})]
)
def test_a_failure_of_who_is_bound_to_another_replica_is_violated_at_once(
    gadget: Contract, type_: str, data: dict[str, object]
) -> None:
    class Bug(Story):
        def lost(self) -> None:
            super().lost()
            if self.round == 2:
                self.fails(1, "read", type_, **data)

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "pod pause")
    assert "at a replica that was not lost" in part(judgement, "pod pause").reason


def test_the_time_counts_from_when_the_ingress_has_left_the_replica_out(gadget: Contract) -> None:
    class Slow(Story):
        """The ingress takes its time to read what it was told; until then the replica gets requests."""

        said_by = "left the ingress"

        def meanwhile(self) -> None:
            self.script.wait(1.5)
            self.script.note("pod", self.said_by, name="a")
            self.fails(0, status=502)
            for _ in range(self.requests):
                for number in CLIENTS:
                    self.answered(number, OTHER)

    class Silent(Slow):
        said_by = "ready"

    held(check(Slow().tell().section(), gadget))
    violated(check(Silent().tell().section(), gadget), *FAULTS)


def test_a_failure_that_another_replica_signs_is_violated_whoever_asked(gadget: Contract) -> None:
    class Bug(Story):
        def lost(self) -> None:
            super().lost()
            self.fails(2, status=500, pod=OTHER)

    violated(check(Bug().tell().section(), gadget), *FAULTS)


@pytest.mark.parametrize(("after_s", "wrong"), [(0.5, False), (1.5, True)])
def test_a_change_at_another_replica_may_concern_a_session_of_the_lost_one(
    gadget: Contract, after_s: float, *, wrong: bool
) -> None:
    class Locked(Story):
        def lost(self) -> None:
            super().lost()
            self.script.wait(after_s)
            self.fails(1, "update", status=503, pod=OTHER)

        def meanwhile(self) -> None:
            for _ in range(self.requests):
                for number in CLIENTS:
                    self.answered(number, OTHER)

    judgement = check(Locked().tell().section(), gadget)
    if wrong:
        violated(judgement, *FAULTS)
    else:
        held(judgement)


def test_a_failure_of_who_was_moved_is_no_longer_that_of_the_lost_replica(gadget: Contract) -> None:
    class Bug(Story):
        def meanwhile(self) -> None:
            self.answered(0, OTHER)
            self.fails(0, status=503)
            super().meanwhile()

    violated(check(Bug().tell().section(), gadget), *FAULTS)


def test_a_replica_that_stays_listed_and_fails_requests_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        unlists = False

        def meanwhile(self) -> None:
            self.script.wait(1.2)
            self.fails(0, status=503, pod=LOST)
            super().meanwhile()

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, *FAULTS)
    assert "which stays listed" in part(judgement, "cut off from Redis").reason


def test_a_replica_that_stays_listed_and_serves_is_held(gadget: Contract) -> None:
    class Cached(Story):
        """It does without what it lost."""

        unlists = False

        def fails(self, number: int, op: str = "read", type_: str = "info", **data: object) -> None:
            self.answered(number, LOST)

    held(check(Cached().tell().section(), gadget))


@pytest.mark.parametrize(("op", "wrong"), [("read", True), ("list", True), ("create", True), ("delete", False)])
def test_an_answer_of_another_replica_that_is_seconds_late_is_violated(
    gadget: Contract, op: str, *, wrong: bool
) -> None:
    class Late(Story):
        def meanwhile(self) -> None:
            if self.round == 0:
                self.answered(1, OTHER, op, 3.5)
            for _ in range(self.requests):
                for number in CLIENTS:
                    self.answered(number, OTHER)

    judgement = check(Late().tell().section(), gadget)
    if wrong:
        violated(judgement, "pod kill")
        assert "took 3.5 s" in part(judgement, "pod kill").reason
    else:
        held(judgement)  # who deletes may have to wait until a lost owner is overruled


def test_a_late_answer_of_the_lost_replica_itself_is_held(gadget: Contract) -> None:
    class Paused(Story):
        def lost(self) -> None:
            self.script.add("invoke", "read", self.process[0], "s")
            self.script.note("pod", "unlisted", name="a")
            self.script.wait(4.0)
            self.script.add("ok", "read", self.process[0], "s", pod=LOST, status=200)

        def meanwhile(self) -> None:
            for _ in range(self.requests):
                for number in CLIENTS:
                    self.answered(number, OTHER)

    held(check(Paused().tell().section(), gadget))


def test_a_failure_while_nothing_is_lost_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def quietly(self) -> None:
            super().quietly()
            if self.round == 2:
                self.fails(2, status=503)

    violated(check(Bug().tell().section(), gadget), "undisturbed")


def test_replicas_that_do_not_recover_are_violated(gadget: Contract) -> None:
    class Bug(Story):
        recovers = False

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, *FAULTS)
    assert "1 of 2 ready" in part(judgement, "pod kill").reason


def test_a_fault_that_did_not_bite_or_was_not_carried_out_is_unknown(gadget: Contract) -> None:
    class Blunt(Story):
        bites = False

    class Short(Story):
        faults = FAULTS[:2]

    blunt = check(Blunt().tell().section(), gadget)
    unknown(blunt, *FAULTS)
    assert "still there" in part(blunt, "pod kill").reason
    short = check(Short().tell().section(), gadget)
    assert part(short, "pod pause").verdict is Verdict.UNKNOWN
    assert short.verdict is Verdict.UNKNOWN


def test_where_nobody_was_bound_to_the_lost_replica_it_is_unknown(gadget: Contract) -> None:
    class Elsewhere(Story):
        def answered(self, number: int, pod: str, op: str = "read", took_s: float = 0.0) -> None:
            super().answered(number, OTHER if number < 2 else pod, op, took_s)

        def fails(self, number: int, op: str = "read", type_: str = "info", **data: object) -> None:
            self.answered(number, OTHER)

    judgement = check(Elsewhere().tell().section(), gadget)
    unknown(judgement, *FAULTS)
    assert "no client that was bound to a asked" in part(judgement, "pod kill").reason


def test_a_client_is_bound_to_the_replica_that_its_note_names_until_it_is_answered(gadget: Contract) -> None:
    class Unanswered(Story):
        known: str = LOST

        def begins(self, number: int) -> None:
            bound = self.known if number == 0 else ""
            process = self.process[number]
            self.script.note("client", number=self.name(number), process=process, sticky=number < 2, bound=bound)

        def quietly(self) -> None:
            for _ in range(QUIET // 3):
                self.answered(2, OTHER)

    class Elsewhere(Unanswered):
        known = OTHER

    held(check(Unanswered().tell().section(), gadget))
    violated(check(Elsewhere().tell().section(), gadget), *FAULTS)


def test_a_replica_that_is_the_only_one_is_missed_and_not_blamed(gadget: Contract) -> None:
    class Single(Story):
        replicas = 1

        def meanwhile(self) -> None:
            super().meanwhile()
            self.fails(2, status=503)

    judgement = check(Single().tell().section(), gadget)
    unknown(judgement, *FAULTS)
    assert "no other" in part(judgement, "pod kill").reason


def test_too_few_requests_are_unknown(gadget: Contract) -> None:
    class Thin(Story):
        requests = 5

    unknown(check(Thin().tell().section(), gadget), *FAULTS)


def test_where_nobody_says_who_answered_times_alone_are_judged(gadget: Contract, bare: Contract) -> None:
    class Nameless(Story):
        header = False

    class Bug(Nameless):
        def meanwhile(self) -> None:
            super().meanwhile()
            self.fails(2, status=503)

    nameless = replace(bare, redis=gadget.redis)
    for contract in (bare, nameless):
        violated(check(Bug().tell().section(), contract), *FAULTS)
    held(check(Nameless().tell().section(), bare))
