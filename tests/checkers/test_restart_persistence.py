from typing import Any

from checkers.expect import held, part, unknown, violated
from checkers.script import Script, pod

from limpet.checkers.restart_persistence import FAULTS, check
from limpet.contract import Contract
from limpet.verdict import Verdict


class Story:
    """Four rounds; subclasses change what the replicas show after a fault."""

    sessions = 100
    bites = True
    recovers = True

    def listed(self, fault: str, replica: str, ids: list[str]) -> list[str]:
        return ids

    def record(self, fault: str, id_: str) -> Any:
        return {"id": id_, "labels": {"limpet": id_}}

    def during(self, script: Script, fault: str) -> None:
        """What else is done while the fault is there."""

    def tell(self, sessions: int | None = None) -> Script:
        script = Script("restart-persistence")
        for fault in FAULTS:
            script.note("round", fault)
            ids = [f"{fault} {n}" for n in range(sessions or self.sessions)]
            for id_ in ids:
                script.op("create", 1, id_, status=201)
                script.op("update", 1, id_, {"limpet": id_})
            script.op("create", 1, f"{fault} deleted")
            script.op("delete", 1, f"{fault} deleted")
            script.note("fault", "inject", fault=fault)
            script.note("fault", "effect" if self.bites else "no effect", fault=fault, why="same process")
            self.during(script, fault)
            script.note("fault", "heal", fault=fault)
            script.note("fault", "recovered" if self.recovers else "not recovered", fault=fault, why="pod never ready")
            script.note("pods", pods=[pod("a"), pod("b")])
            for process, replica in ((11, "a"), (12, "b")):
                view = FAULTS.index(fault) * 100 + process
                script.note("view", replica, process=view)
                script.op("list", view, value=self.listed(fault, replica, ids), pod=f"i-{replica}")
            for id_ in ids:
                script.op("read", 11, id_, self.record(fault, id_), pod="i-a")
            for id_ in ids:
                script.op("delete", 1, id_)
        return script


def test_all_kept_is_held(gadget: Contract) -> None:
    held(check(Story().tell().section(), gadget))


def test_one_lost_on_one_replica_is_violated_under_its_fault(gadget: Contract) -> None:
    class Bug(Story):
        def listed(self, fault: str, replica: str, ids: list[str]) -> list[str]:
            return ids[1:] if fault == "pod kill" and replica == "b" else ids

    violated(check(Bug().tell().section(), gadget), "pod kill")


def test_a_deleted_session_that_returns_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def listed(self, fault: str, replica: str, ids: list[str]) -> list[str]:
            return [*ids, f"{fault} deleted"] if fault == "Redis restart" else ids

    violated(check(Bug().tell().section(), gadget), "Redis restart")


def test_an_acknowledged_update_that_is_lost_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def record(self, fault: str, id_: str) -> Any:
            return {"id": id_, "labels": {}} if id_ == "pod delete 7" else super().record(fault, id_)

    violated(check(Bug().tell().section(), gadget), "pod delete")


def test_a_record_that_is_gone_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def record(self, fault: str, id_: str) -> Any:
            return None if id_ == "roll-out 7" else super().record(fault, id_)

    violated(check(Bug().tell().section(), gadget), "roll-out")


def test_an_update_of_unknown_outcome_may_be_seen_or_not(gadget: Contract) -> None:
    class Doubtful(Story):
        def during(self, script: Script, fault: str) -> None:
            script.op("update", 1, f"{fault} 7", {"limpet": "doubtful"}, type_="info")
            script.op("update", 1, f"{fault} 8", {"limpet": "doubtful"}, type_="info")

        def record(self, fault: str, id_: str) -> Any:
            if id_ == f"{fault} 7":
                return {"id": id_, "labels": {"limpet": "doubtful"}}
            return super().record(fault, id_)

    held(check(Doubtful().tell().section(), gadget))


def test_a_create_of_unknown_outcome_binds_nobody(gadget: Contract) -> None:
    class Doubtful(Story):
        def during(self, script: Script, fault: str) -> None:
            script.op("create", 1, "", type_="info", error="reset")

        def listed(self, fault: str, replica: str, ids: list[str]) -> list[str]:
            return [*ids, "nobody was told"] if replica == "a" else ids

    held(check(Doubtful().tell().section(), gadget))


def test_a_create_during_the_fault_that_was_acknowledged_binds(gadget: Contract) -> None:
    class Bug(Story):
        def during(self, script: Script, fault: str) -> None:
            script.op("create", 1, f"{fault} meanwhile")

    violated(check(Bug().tell().section(), gadget), *FAULTS)


def test_replicas_that_do_not_recover_are_violated(gadget: Contract) -> None:
    class Bug(Story):
        recovers = False

    violated(check(Bug().tell().section(), gadget), *FAULTS)


def test_a_fault_that_did_not_bite_is_unknown(gadget: Contract) -> None:
    class Toothless(Story):
        bites = False

    judgement = check(Toothless().tell().section(), gadget)
    unknown(judgement, *FAULTS)
    assert "same process" in part(judgement, "pod kill").reason


def test_fewer_than_a_hundred_sessions_are_unknown(gadget: Contract) -> None:
    class Thin(Story):
        sessions = 98  # and the one that is deleted

    unknown(check(Thin().tell().section(), gadget), *FAULTS)


def test_a_replica_that_was_not_asked_is_unknown(gadget: Contract) -> None:
    script = Story().tell()
    section = script.section()
    lines = [line for line in section.lines if not (line.type == "view" and line.data.get("process") == 112)]
    judgement = check(type(section)(lines, section.source), gadget)
    assert part(judgement, "every replica asked").verdict is Verdict.UNKNOWN
