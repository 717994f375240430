from checkers.script import Script

from limpet.checkers.recovery import Outcome, Window, outcome, window

FAULT = "pod kill"


class Told(Script):
    """Operations that take as long as they are told to, around a fault."""

    def __init__(self) -> None:
        super().__init__("restart-persistence")

    def fault(self, phase: str, name: str = FAULT, **why: str) -> int:
        return self.note("fault", phase, fault=name, **why)

    def create(self, *, type_: str = "ok", process: int = 1) -> None:
        self.op("create", process, type_=type_)


def look(script: Script, fault: str = FAULT) -> Window | None:
    section = script.section()
    return window(section, fault, section.ops("create"))


def about(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def test_a_fault_that_bit_and_healed_has_recovered() -> None:
    script = Told()
    script.fault("inject")
    script.fault("effect")
    script.fault("heal")
    script.wait(2.0)
    last = script.fault("recovered")
    found = outcome(script.section(), FAULT)
    assert (found.bit, found.recovered, about(found.took_s), found.line) == (True, True, 2.0, last)


def test_a_fault_without_effect_did_not_bite() -> None:
    script = Told()
    script.fault("inject")
    script.fault("no effect", why="same process")
    script.fault("heal")
    script.fault("recovered")
    found = outcome(script.section(), FAULT)
    assert not found.bit
    assert found.why == "same process"


def test_what_the_target_did_not_survive_bit_and_did_not_recover() -> None:
    script = Told()
    script.fault("inject")
    script.fault("not recovered", why="never ready")
    found = outcome(script.section(), FAULT)
    assert (found.bit, found.recovered, found.why) == (True, False, "never ready")


def test_the_last_fault_of_a_name_counts_and_no_other() -> None:
    script = Told()
    for name, end in ((FAULT, "recovered"), (FAULT, "not recovered"), ("roll-out", "recovered")):
        script.fault("inject", name)
        script.fault("effect", name)
        script.fault(end, name, why="never ready")
    assert not outcome(script.section(), FAULT).recovered
    assert outcome(script.section(), "roll-out").recovered
    assert outcome(script.section(), "Redis restart") == Outcome()


def test_a_record_that_breaks_off_after_the_injection_has_no_outcome() -> None:
    script = Told()
    line = script.fault("inject")
    assert outcome(script.section(), FAULT) == Outcome(line=line)


def test_without_the_fault_there_is_no_window() -> None:
    script = Told()
    script.create()
    script.fault("recovered")  # its injection is missing
    assert look(script) is None


def test_a_fault_that_nobody_notices_has_no_failures() -> None:
    script = Told()
    script.create()
    script.fault("inject")
    for _ in range(5):
        script.wait(0.1)
        script.create()
    script.fault("recovered")
    found = look(script)
    assert found is not None
    assert (found.operations, found.failures, found.first_failure_s, found.last_failure_s) == (5, 0, None, None)
    assert (about(found.first_success_s), about(found.longest_s)) == (0.1, 0.1)


def test_failures_lie_between_the_injection_and_the_recovery() -> None:
    script = Told()
    script.create(type_="fail")  # before it
    script.wait(1.0)
    script.create()
    script.fault("inject")
    for pause_s, type_ in ((0.2, "fail"), (0.3, "info"), (0.5, "ok"), (0.1, "ok")):
        script.wait(pause_s)
        script.create(type_=type_)
    script.fault("recovered")
    script.wait(5.0)
    script.create(type_="fail")  # after it
    found = look(script)
    assert found is not None
    assert (found.operations, found.failures) == (4, 2)
    assert (about(found.first_failure_s), about(found.last_failure_s)) == (0.2, 0.5)
    assert (about(found.first_success_s), about(found.longest_s)) == (1.0, 1.0)


def test_what_was_under_way_at_the_injection_counts_by_how_it_came_back() -> None:
    failed, went_well = Told(), Told()
    for script, type_ in ((failed, "info"), (went_well, "ok")):
        script.add("invoke", "create", 1)
        script.fault("inject")
        script.wait(0.4)
        script.add(type_, "create", 1)
        script.wait(0.4)
        script.create(process=2)
        script.fault("recovered")
    cut, kept = look(failed), look(went_well)
    assert cut is not None
    assert kept is not None
    assert (cut.failures, about(cut.first_failure_s)) == (1, 0.4)
    assert (kept.failures, about(kept.longest_s)) == (0, 0.4)
    # what was asked for before does not show that anything works since
    assert about(kept.first_success_s) == about(cut.first_success_s) == 0.8


def test_what_never_came_back_is_no_failure() -> None:
    script = Told()
    script.fault("inject")
    script.add("invoke", "create", 1)
    script.fault("recovered")
    assert look(script) == Window()


def test_a_pause_of_the_clients_is_no_outage() -> None:
    script = Told()
    script.fault("inject")
    script.create()
    script.wait(9.0)  # nobody tries
    script.fault("recovered")
    script.wait(9.0)
    script.create()
    found = look(script)
    assert found is not None
    assert about(found.longest_s) == 0.0


def test_an_outage_that_lasts_is_as_long_as_somebody_tried() -> None:
    script = Told()
    script.create()
    script.fault("inject")
    for _ in range(4):
        script.wait(0.5)
        script.create(type_="fail")
    script.fault("not recovered", why="never ready")
    found = look(script)
    assert found is not None
    assert (found.first_success_s, about(found.longest_s)) == (None, 2.0)


def test_two_faults_have_windows_of_their_own() -> None:
    script = Told()
    for name, type_ in ((FAULT, "fail"), ("roll-out", "ok")):
        script.fault("inject", name)
        script.create(type_=type_)
        script.create()
        script.fault("recovered", name)
    one, other = look(script), look(script, "roll-out")
    assert one is not None
    assert other is not None
    assert (one.operations, one.failures) == (2, 1)
    assert (other.operations, other.failures) == (2, 0)


def test_an_outage_begins_with_the_last_success_before_the_fault() -> None:
    script = Told()
    script.create()
    script.wait(1.0)
    script.create()
    script.wait(1.0)
    script.fault("inject")
    script.wait(0.5)
    script.create(type_="fail")
    script.fault("recovered")
    found = look(script)
    assert found is not None
    assert about(found.longest_s) == 1.5


def test_a_fault_whose_end_is_not_in_the_record_lasts_until_its_last_line() -> None:
    script = Told()
    script.fault("inject")
    script.create(type_="fail")
    script.create()
    found = look(script)
    assert found is not None
    assert (found.operations, found.failures) == (2, 1)


def test_the_same_fault_twice_has_the_window_of_the_second() -> None:
    script = Told()
    for type_ in ("fail", "ok"):
        script.fault("inject")
        script.create(type_=type_)
        script.fault("recovered")
    found = look(script)
    assert found is not None
    assert (found.operations, found.failures) == (1, 0)
