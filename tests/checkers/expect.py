"""Saying what a judgement must be, so that a failure shows the whole of it."""

from checkers.written import as_written

from limpet.verdict import Judgement, Part, Verdict


def part(judgement: Judgement, name: str) -> Part:
    return next(part for part in judgement.parts if part.name == name)


def held(judgement: Judgement) -> None:
    assert judgement.verdict is Verdict.HELD, [(p.name, p.verdict, p.reason) for p in judgement.parts]
    as_written(judgement)


def violated(judgement: Judgement, *names: str) -> None:
    """These parts are violated and no other."""
    found = {p.name for p in judgement.parts if p.verdict is Verdict.VIOLATED}
    assert found == set(names), [(p.name, p.verdict, p.reason) for p in judgement.parts]
    as_written(judgement)


def unknown(judgement: Judgement, *names: str) -> None:
    """These parts are unknown and none is violated."""
    found = {p.name for p in judgement.parts if p.verdict is Verdict.UNKNOWN}
    assert found == set(names), [(p.name, p.verdict, p.reason) for p in judgement.parts]
    assert judgement.verdict is Verdict.UNKNOWN
    as_written(judgement)
