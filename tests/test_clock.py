import pytest

from limpet import seeds
from limpet.clock import Deadline, eventually
from limpet.errors import DeadlineError


async def test_eventually_returns_the_first_true_answer() -> None:
    answers = iter([None, 0, "yes", "later"])

    async def probe() -> object:
        return next(answers)

    assert await eventually(probe, within_s=5, what="yes", every_s=0.001) == "yes"


async def test_eventually_says_what_did_not_come_and_what_was_seen() -> None:
    async def probe() -> int:
        return 0

    with pytest.raises(DeadlineError, match=r"three pods: not within 0\.01 s \(last seen: 0\)"):
        await eventually(probe, within_s=0.01, what="three pods", every_s=0.001)


async def test_eventually_asks_at_least_once() -> None:
    async def probe() -> bool:
        return True

    assert await eventually(probe, within_s=0, what="at once")


def test_a_deadline_in_the_past_has_nothing_left() -> None:
    deadline = Deadline(0)
    assert deadline.passed()
    assert deadline.left_s() == 0


def test_a_seed_names_its_streams() -> None:
    assert seeds.stream(7, "faults").random() == seeds.stream(7, "faults").random()
    assert seeds.stream(7, "faults").random() != seeds.stream(7, "clients").random()
