import pytest
from checkers.script import Script

from limpet.checkers.membership import GONE, SLACK_S, are_members, judge_gone, judge_settled, looks_at
from limpet.checkers.parts import PartBuilder
from limpet.verdict import Part, Verdict

TTL_S = 15.0


class Watched:
    """Looks at heartbeats, one after the other, around the moment at which something changed."""

    def __init__(self) -> None:
        self.script = Script("scaling")
        self.change = 0

    def look(self, *alive: str, after_s: float = 0.0, ttl_ms: int = 9000, type_: str = "ok") -> None:
        self.script.wait(after_s)
        keys = {name: {"value": "1", "ttl_ms": ttl_ms} for name in alive}
        self.script.op("heartbeats", 1, value=keys, type_=type_, server_time=self.script.now_s)

    def changes(self) -> None:
        self.change = self.script.note("scaled", "2")

    def settled(self, *instances: str) -> Part:
        section = self.script.section()
        part = PartBuilder(section, "registered", "steps", 1)
        after = [look for look in looks_at(section) if look.op.call_no > self.change]
        judge_settled(part, after, instances, (self.change, section.lines[self.change - 1]), TTL_S)
        return part.done()

    def gone(self, instance: str) -> Part:
        section = self.script.section()
        part = PartBuilder(section, "death", "replicas", 1)
        judge_gone(part, looks_at(section), instance, (self.change, section.lines[self.change - 1]), TTL_S)
        return part.done()


def test_members_are_told_by_their_names_where_they_have_some() -> None:
    assert are_members({"a", "b"}, ["b", "a"])
    assert not are_members({"a", "c"}, ["a", "b"])
    assert not are_members({"a"}, ["a", "b"])
    assert not are_members({"a", "b", "c"}, ["a", "b"])


def test_without_names_members_are_counted() -> None:
    assert are_members({"a", "b"}, ["", "b"])
    assert not are_members({"a", "b", "c"}, ["", ""])


def test_a_key_that_went_while_it_was_read_is_not_there() -> None:
    watched = Watched()
    watched.look("a", ttl_ms=GONE)
    watched.look("a", ttl_ms=-1)
    assert [set(look.seen) for look in looks_at(watched.script.section())] == [set(), {"a"}]


def test_a_look_that_failed_is_none() -> None:
    watched = Watched()
    watched.look("a", type_="info")
    assert looks_at(watched.script.section()) == []


def test_members_that_joined_and_left_in_time_are_held() -> None:
    watched = Watched()
    watched.changes()
    watched.look("old", "a", after_s=1.0)
    watched.look("a", "b", after_s=TTL_S - 2.0)
    assert watched.settled("a", "b").verdict is Verdict.HELD


@pytest.mark.parametrize("seen", [("a",), ("a", "b", "old"), ("a", "c"), ()])
def test_members_that_are_wrong_when_the_time_is_over_are_violated(seen: tuple[str, ...]) -> None:
    watched = Watched()
    watched.changes()
    watched.look(*seen, after_s=TTL_S + 0.1)
    assert watched.settled("a", "b").verdict is Verdict.VIOLATED


def test_members_that_are_wrong_before_the_time_is_over_are_unknown() -> None:
    early, never = Watched(), Watched()
    early.changes()
    early.look("a", after_s=TTL_S - 1.0)
    never.changes()
    assert early.settled("a", "b").verdict is Verdict.UNKNOWN
    assert never.settled("a", "b").verdict is Verdict.UNKNOWN


def test_a_dead_member_that_goes_within_its_time_is_held() -> None:
    watched = Watched()
    watched.look("a", "b")
    watched.changes()
    watched.look("a", "b", after_s=TTL_S)
    watched.look("b", after_s=SLACK_S)
    assert watched.gone("a").verdict is Verdict.HELD


def test_a_dead_member_that_stays_is_violated() -> None:
    watched = Watched()
    watched.look("a", "b")
    watched.changes()
    watched.look("a", "b", after_s=TTL_S + SLACK_S + 0.1)
    assert watched.gone("a").verdict is Verdict.VIOLATED


def test_a_dead_member_that_returns_is_violated() -> None:
    watched = Watched()
    watched.look("a", "b")
    watched.changes()
    watched.look("b", after_s=TTL_S)
    watched.look("a", "b", after_s=1.0)
    assert watched.gone("a").verdict is Verdict.VIOLATED


def test_a_death_that_was_not_watched_for_long_enough_is_unknown() -> None:
    short, unseen = Watched(), Watched()
    short.look("a", "b")
    short.changes()
    short.look("a", "b", after_s=TTL_S - 1.0)
    unseen.look("b")
    unseen.changes()
    unseen.look("b", after_s=TTL_S + 1.0)  # nobody saw it alive
    assert short.gone("a").verdict is Verdict.UNKNOWN
    assert unseen.gone("a").verdict is Verdict.UNKNOWN


def test_a_look_is_at_the_moment_that_the_server_told() -> None:
    script = Script("scaling")
    script.op("heartbeats", 1, value={}, server_time=12.5)
    script.op("heartbeats", 1, value={})
    assert [look.moment for look in looks_at(script.section())] == [12.5, 0.0]


def test_wrong_members_are_told_with_the_change_and_the_look() -> None:
    watched = Watched()
    watched.changes()
    watched.look("a", after_s=TTL_S + 1.0)
    (finding,) = watched.settled("a", "b").findings
    assert finding.seen.startswith("1 heartbeats 16.0 s after 2 replicas")
    assert finding.expected == "those of the 2 replicas, within 15 s"
    assert finding.where.endswith(f"lines {watched.change}, {watched.change + 2}")


def test_a_dead_member_that_stays_is_told_with_the_change_and_the_look() -> None:
    watched = Watched()
    watched.look("a")
    watched.changes()
    watched.look("a", after_s=TTL_S + 1.0)
    (finding,) = watched.gone("a").findings
    assert finding.seen.startswith("the heartbeat of a was still there 16.0 s")
    assert finding.expected == "gone within 15 s"
    assert finding.where.endswith(f"lines {watched.change}, {watched.change + 2}")


def test_each_change_is_evidence_once() -> None:
    watched = Watched()
    watched.look("a")
    watched.changes()
    watched.look(after_s=1.0)
    section = watched.script.section()
    part = PartBuilder(section, "registered", "steps", 1)
    looks, since = looks_at(section), (watched.change, section.lines[watched.change - 1])
    for _ in range(2):
        judge_gone(part, looks, "a", since, TTL_S)
        judge_settled(part, looks[-1:], [], since, TTL_S)
    assert part.done().had == 4


def test_one_change_that_was_left_open_is_unknown_beside_another_that_was_right() -> None:
    watched = Watched()
    watched.changes()
    watched.look("a", after_s=1.0)
    section = watched.script.section()
    part = PartBuilder(section, "registered", "steps", 1)
    since = (watched.change, section.lines[watched.change - 1])
    judge_settled(part, looks_at(section), ["a"], since, TTL_S)
    assert part.done().verdict is Verdict.HELD
    judge_settled(part, looks_at(section), ["a", "b"], since, TTL_S)
    assert part.done().verdict is Verdict.UNKNOWN
