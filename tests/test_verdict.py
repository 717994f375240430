import pytest

from limpet.verdict import Finding, Judgement, Part, Verdict, exit_code, worst

HELD, UNKNOWN, VIOLATED = Verdict.HELD, Verdict.UNKNOWN, Verdict.VIOLATED
UNSUPPORTED, NOT_CLAIMED = Verdict.UNSUPPORTED, Verdict.NOT_CLAIMED
BAD = (Finding("p", "this", "that"),)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([HELD, UNKNOWN, VIOLATED], VIOLATED),
        ([HELD, UNKNOWN], UNKNOWN),
        ([HELD, HELD], HELD),
        ([HELD, UNSUPPORTED, NOT_CLAIMED], HELD),
        ([UNSUPPORTED, NOT_CLAIMED], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_a_run_is_as_bad_as_its_worst_guarantee(verdicts: list[Verdict], expected: Verdict) -> None:
    assert worst(verdicts) is expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part("p", had=5, enough=5), HELD),
        (Part("p", had=4, enough=5), UNKNOWN),
        (Part("p", had=1, enough=5, findings=BAD), VIOLATED),
        (Part("p", had=5, enough=5, doubt="the fault did not bite"), UNKNOWN),
        (Part("p", had=5, enough=5, doubt="thin", findings=BAD), VIOLATED),
        (Part("p", missing="http.events"), NOT_CLAIMED),
    ],
)
def test_a_part_is_held_only_when_exercised_enough(part: Part, expected: Verdict) -> None:
    assert part.verdict is expected


def test_parts_that_cannot_be_shown_do_not_count() -> None:
    assert Judgement("x", (Part("a", had=1), Part("b", missing="no key"))).verdict is HELD
    assert Judgement("x", (Part("b", missing="no key"),)).verdict is UNKNOWN


def row(verdict: Verdict, name: str = "x") -> Judgement:
    return Judgement(name, set_to=verdict)


@pytest.mark.parametrize(
    ("rows", "required", "code"),
    [
        ([row(HELD)], [], 0),
        ([row(HELD), row(NOT_CLAIMED, "y")], [], 0),
        ([row(HELD), row(UNSUPPORTED, "y")], ["y"], 2),
        ([row(HELD)], ["never run"], 2),
        ([row(UNKNOWN)], [], 2),
        ([], [], 2),
        ([row(NOT_CLAIMED)], [], 2),
        ([row(VIOLATED), row(UNKNOWN, "y")], ["y"], 1),
    ],
)
def test_exit_codes(rows: list[Judgement], required: list[str], code: int) -> None:
    assert exit_code(rows, required) == code
