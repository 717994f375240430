"""Many registers of one history, told operation by operation."""

from collections.abc import Hashable

import pytest
from models.story import Story

from limpet.checkers import unique_registers
from limpet.checkers.registers import Illegal, WrittenTwiceError
from limpet.models.catalogue import MODELS
from limpet.models.given import operations

REGISTER = MODELS["register"]


def judged(story: Story) -> tuple[int, int, dict[Hashable, list[Illegal]]]:
    return unique_registers.check(operations(story.numbered(), REGISTER, "h"))


def test_each_register_is_judged_for_itself_and_only_what_is_illegal_is_told() -> None:
    story = Story("right")
    story.does(1, "write", 1)
    story.does(2, "read", None, 1)
    story.key = "wrong"
    story.does(1, "write", 1)
    story.does(1, "write", 2)
    story.does(2, "read", None, 1)
    count, registers, illegal = judged(story)
    assert (count, registers, list(illegal)) == (5, 2, ["wrong"])
    (reason,) = illegal["wrong"]
    assert [(access.kind, access.line, access.start, access.end) for access in reason.accesses] == [
        *(("write", 6, 5, 6), ("write", 8, 7, 8), ("read", 10, 9, 10)),
    ]


def test_nil_is_what_is_there_before_the_first_write() -> None:
    story = Story()
    story.does(2, "read")
    story.does(1, "write", 1)
    assert judged(story)[2] == {}
    story.does(2, "read")
    assert list(judged(story)[2]) == ["x"]


def test_a_lost_write_that_is_read_is_told_by_the_line_of_its_call() -> None:
    story = Story()
    story.does(2, "read", None, 3)
    story.call(1, "write", 3)
    ((reason,),) = judged(story)[2].values()
    assert [(access.line, access.outcome) for access in reason.accesses] == [(2, "ok"), (3, "info")]


def test_values_that_are_written_twice_are_not_for_this() -> None:
    for values, why in (((1, 1), "1 was written twice"), ((None, 1), "nil was written")):
        story = Story()
        for value in values:
            story.does(1, "write", value)
        with pytest.raises(WrittenTwiceError, match=why):
            judged(story)
