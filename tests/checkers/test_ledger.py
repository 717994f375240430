"""What an acknowledged write binds: told by which operation began, and which came back, before which other."""

from typing import Any

from checkers.script import Script

from limpet.checkers.ledger import Entry, entries, updated_field
from limpet.contract import Contract
from limpet.history import Op


class Told(Script):
    """One session and one read of it; operations may overlap."""

    def __init__(self) -> None:
        super().__init__("restart-persistence")
        self._next = 0

    def begin(self, op: str, value: Any = None) -> int:
        self._next += 1
        self.add("invoke", op, self._next, "" if op == "create" else "s", value)
        return self._next

    def end(self, process: int, op: str, type_: str = "ok", value: Any = None) -> None:
        self.add(type_, op, process, "s", value)

    def whole(self, op: str, type_: str = "ok", value: Any = None) -> None:
        self.end(self.begin(op, value), op, type_, value)

    def judged(self) -> tuple[Entry, Op]:
        section = self.section()
        return entries(section)["s"], section.ops("read")[0]


def test_an_acknowledged_session_must_be_shown() -> None:
    told = Told()
    told.whole("create")
    told.whole("read")
    entry, read = told.judged()
    assert entry.must_be_shown(read)
    assert entry.must_be_gone(read) is None


def test_a_read_that_began_before_the_acknowledgement_may_miss_it() -> None:
    told = Told()
    creating, reading = told.begin("create"), told.begin("read")
    told.end(creating, "create")
    told.end(reading, "read")
    entry, read = told.judged()
    assert not entry.must_be_shown(read)


def test_a_create_without_acknowledgement_is_not_in_the_ledger() -> None:
    told = Told()
    told.whole("create", "info")
    told.whole("create", "fail")
    told.begin("create")
    assert entries(told.section()) == {}


def test_a_session_whose_delete_has_begun_may_be_shown_or_not() -> None:
    for type_ in ("ok", "info", "fail"):
        told = Told()
        told.whole("create")
        deleting, reading = told.begin("delete"), told.begin("read")
        told.end(deleting, "delete", type_)
        told.end(reading, "read")
        entry, read = told.judged()
        assert not entry.must_be_shown(read)
        assert entry.must_be_gone(read) is None


def test_an_acknowledged_delete_before_the_read_binds_and_a_doubtful_one_does_not() -> None:
    for type_, binds in (("ok", True), ("info", False), ("fail", False)):
        told = Told()
        told.whole("create")
        told.whole("delete", type_)
        told.whole("read")
        entry, read = told.judged()
        assert bool(entry.must_be_gone(read)) is binds


def test_a_delete_after_the_read_changes_nothing_about_it() -> None:
    told = Told()
    told.whole("create")
    told.whole("read")
    told.whole("delete")
    entry, read = told.judged()
    assert entry.must_be_shown(read)


def test_without_an_acknowledged_update_any_value_may_be_read() -> None:
    told = Told()
    told.whole("create")
    told.whole("update", "info", 1)
    told.whole("update", "fail", 2)
    told.whole("read")
    entry, read = told.judged()
    assert entry.allowed_values(read) is None


def test_the_last_acknowledged_update_is_what_may_be_read() -> None:
    told = Told()
    told.whole("create")
    told.whole("update", "ok", 1)
    told.whole("update", "ok", 2)
    told.whole("read")
    told.whole("update", "ok", 3)
    entry, read = told.judged()
    assert entry.allowed_values(read) == [2]


def test_an_update_that_overlaps_the_last_one_or_the_read_may_be_read_instead() -> None:
    told = Told()
    told.whole("create")
    one, other = told.begin("update", 1), told.begin("update", 2)
    told.end(other, "update", "ok", 2)
    told.end(one, "update", "ok", 1)
    reading, late = told.begin("read"), told.begin("update", 3)
    told.end(reading, "read")
    told.end(late, "update", "ok", 3)
    entry, read = told.judged()
    assert sorted(entry.allowed_values(read) or []) == [1, 2, 3]


def test_an_update_of_unknown_outcome_may_be_read_ever_after_and_a_refused_one_never() -> None:
    told = Told()
    told.whole("create")
    told.whole("update", "info", 1)
    told.whole("update", "fail", 2)
    told.whole("update", "ok", 3)
    told.whole("read")
    entry, read = told.judged()
    assert entry.allowed_values(read) == [1, 3]


def test_the_updated_field_is_read_where_the_answer_has_it(gadget: Contract) -> None:
    for value, seen in (({"labels": {"a": 1}}, {"a": 1}), ({}, None), (None, None), (["labels"], None)):
        told = Told()
        told.whole("create")
        told.whole("read", "ok", value)
        _, read = told.judged()
        assert updated_field(read, gadget) == seen


def test_a_refused_update_that_ended_after_the_last_one_is_not_what_may_be_read() -> None:
    told = Told()
    told.whole("create")
    refused = told.begin("update", 1)
    told.whole("update", "ok", 2)
    told.end(refused, "update", "fail", 1)
    told.whole("read")
    entry, read = told.judged()
    assert entry.allowed_values(read) == [2]


def test_a_read_that_never_came_back_saw_nothing(gadget: Contract) -> None:
    told = Told()
    told.whole("create")
    told.begin("read")
    _, read = told.judged()
    assert updated_field(read, gadget) is None
