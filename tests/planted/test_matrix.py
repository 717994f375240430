from limpet.verdict import Verdict
from planted import matrix
from planted.base import Bug
from planted.judging import Row

HELD, VIOLATED, UNKNOWN = Verdict.HELD, Verdict.VIOLATED, Verdict.UNKNOWN
SPOILT = Bug("spoilt", "locking", "identity", ("scaling",), "backend", "It is\n  spoilt.", lambda: None, "planted.bugs")
CLEAN = Row(None, {"identity": HELD, "locking": HELD}, None, 9.0, ())
CAUGHT = Row(SPOILT, {"identity": HELD, "scaling": VIOLATED, "locking": VIOLATED}, 4.25, 12.0, ())
MISSED = Row(SPOILT, {"identity": UNKNOWN, "locking": HELD}, None, 12.0, ("not caught: locking is held",))


def test_a_bug_that_was_caught_is_marked_where_it_must_be() -> None:
    text = matrix.summary([CLEAN, CAUGHT], title="Selfcheck", took_s=90)
    assert "| bug | identity | scaling | locking | caught after |" in text
    assert "| none | . |  | . |  |" in text
    assert "| spoilt | . | (X) | [X] | 4.2 s |" in text
    assert "1 of 1 bugs caught, 0 rows wrong, 1.5 minutes" in text
    assert "**spoilt** (locking): It is spoilt." in text
    assert "## Wrong" not in text


def test_a_bug_that_was_missed_says_so() -> None:
    text = matrix.summary([CLEAN, MISSED], title="Selfcheck", took_s=90)
    assert "| spoilt | ? | [.] |  |" in text
    assert "0 of 1 bugs caught, 1 rows wrong" in text
    assert "- spoilt: not caught: locking is held" in text
    assert "WRONG not caught: locking is held" in matrix.line(MISSED)


def test_progress_says_when_a_bug_was_caught() -> None:
    assert matrix.line(CAUGHT) == (
        "spoilt: identity held, scaling violated, locking violated, caught after 4.2 s (12 s)"
    )
