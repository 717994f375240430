"""Whether a session that is taken over goes on in its stream or gets another one: every reason for either."""

from typing import Any, cast

import msgspec
import pytest
from backend.sources import session

from reference_backend.adoption import Adoption
from reference_backend.batches import Standing
from reference_backend.locks import Hold
from reference_backend.session import HandedOver, Session, Stored, encode, rfc3339
from reference_backend.store import Look

NOW_S = 1_790_000_000.0
LAST = b'{"type":"event","timestamp":"%b","data":{"n":10}}' % rfc3339(NOW_S).encode()


class FakeMembership:
    instance = "another"


class FakeSettings:
    source_names = ("synthetic",)


@pytest.fixture
def adoption() -> Adoption:
    nothing = cast(Any, None)
    fakes: dict[str, Any] = {"membership": FakeMembership(), "settings": FakeSettings()}
    return Adoption(nothing, nothing, nothing, stopping=nothing, on_appended=lambda _: None, **fakes)


def standing(seq: int, last: bytes = LAST, **changes: Any) -> Standing:
    made = session("trace_tcp", "synthetic", startTime=rfc3339(NOW_S - 60), epoch=int((NOW_S - 60) * 1e6))
    made = msgspec.structs.replace(made, **changes)
    return Standing(Look(Stored(encode(made), made, owner_alive=False), made.epoch + 1), Hold("", ""), seq, last)


def planned(adoption: Adoption, found: Standing, *, known: int = 0, promoted_s: float = 0.0) -> tuple[str, Session]:
    """The stream that begins, and the session as it will be."""
    plan = adoption._plan(found, lambda _: False, "owner lost", known=known, promoted_s=promoted_s)
    assert plan.change is not None
    assert plan.start is not None
    return plan.change.stream, plan.start


@pytest.mark.parametrize("known", [0, 9, 10])
def test_a_stream_that_has_all_that_is_known_of_it_goes_on(adoption: Adoption, known: int) -> None:
    assert planned(adoption, standing(10), known=known)[0] == ""


def test_a_stream_that_ends_before_what_is_known_of_it_is_over(adoption: Adoption) -> None:
    stream, after = planned(adoption, standing(10, handedOver=HandedOver(10, 10)), known=11)
    assert stream
    assert after.handedOver is None


def test_a_stream_that_ends_before_the_place_where_it_was_handed_over_is_over(adoption: Adoption) -> None:
    stream, after = planned(adoption, standing(10, handedOver=HandedOver(11, 11)))
    assert stream
    assert after.handedOver is None


def test_a_stream_that_stands_where_it_was_handed_over_goes_on_from_there(adoption: Adoption) -> None:
    stream, after = planned(adoption, standing(10, handedOver=HandedOver(10, 10)), promoted_s=NOW_S - 1)
    assert (stream, after.handedOver) == ("", HandedOver(10, 10))


def test_a_stream_to_which_nothing_was_appended_since_a_failover_is_over(adoption: Adoption) -> None:
    assert planned(adoption, standing(10), promoted_s=NOW_S + 1)[0]
    assert planned(adoption, standing(0, b""), promoted_s=NOW_S + 1)[0]


def test_a_stream_to_which_something_was_appended_since_a_failover_goes_on(adoption: Adoption) -> None:
    assert planned(adoption, standing(10), promoted_s=NOW_S - 1)[0] == ""


def test_a_stream_whose_owner_came_after_a_failover_goes_on_and_one_without_owner_does_not(adoption: Adoption) -> None:
    later = int((NOW_S + 2) * 1e6)
    assert planned(adoption, standing(10, epoch=later), promoted_s=NOW_S + 1)[0] == ""
    assert planned(adoption, standing(10, epoch=later, status="orphaned"), promoted_s=NOW_S + 1)[0]
