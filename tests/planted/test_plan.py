import itertools

import pytest

from planted import base, scaled
from planted.selfcheck import THIRDS, Job, plan

BUGS = list(base.load().values())


def names(jobs: list[Job]) -> set[str]:
    return {job.name for job in jobs if job.bug}


def third(number: int) -> list[Job]:
    return plan(BUGS, scaled.claimed(), third=number)


def test_each_bug_is_judged_by_the_guarantee_that_must_catch_it_and_an_unrelated_one() -> None:
    for job in plan(BUGS, scaled.claimed()):
        assert job.bug is None or set(job.guarantees) == {job.bug.caught_by, job.bug.unrelated}


def test_in_full_each_bug_is_judged_by_all_that_is_claimed() -> None:
    assert {job.guarantees for job in plan(BUGS, scaled.claimed(), full=True) if job.bug} == {scaled.claimed()}


def test_the_clean_run_comes_first_and_judges_what_any_bug_needs() -> None:
    clean, *others = plan(BUGS, scaled.claimed())
    assert clean.bug is None
    assert set(clean.guarantees) == {guarantee for job in others for guarantee in job.guarantees}


def test_the_thirds_together_are_all_bugs_and_no_bug_is_in_two() -> None:
    thirds = [names(third(number)) for number in range(1, THIRDS + 1)]
    assert set().union(*thirds) == {bug.name for bug in BUGS}
    assert not any(one & other for one, other in itertools.combinations(thirds, 2))


def test_the_thirds_take_equally_long() -> None:
    costs = [sum(job.cost_s for job in third(number) if job.bug) for number in range(1, THIRDS + 1)]
    assert max(costs) < 1.2 * min(costs)


@pytest.mark.parametrize("number", range(1, THIRDS + 1))
def test_a_third_is_the_same_each_time(number: int) -> None:
    assert third(number) == plan(reversed(BUGS), scaled.claimed(), third=number)
