"""Who has the sessions of a dead owner, and when its watchers hear of them again."""

from dataclasses import replace
from typing import Any

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.takeover_story import REPLICAS, Owned, Story

from limpet.checkers.takeover import budget_s, check
from limpet.contract import Contract
from limpet.verdict import Judgement, Verdict

IN_TIME, OWNER, EVEN, ONCE, STREAMS = "in time", "one new owner", "spread evenly", "runs once", "streams go on"
EPOCHS, NUMBERS, STALE, GONE = "epoch grows", "one append a number", "stale appends refused", "deleted stay deleted"


def judged(contract: Contract, story: Story) -> Judgement:
    return check(story.tell().section(), contract)


def test_orphans_that_are_taken_over_are_held(gadget: Contract) -> None:
    judgement = judged(gadget, Story())
    held(judgement)
    assert judgement.evidence["orphans"] == 41
    assert judgement.evidence["late"] == 1
    assert judgement.evidence["shares"][0] == "3 + 4"
    assert judgement.evidence["next event p50/p95/max"].endswith(" ms")
    assert judgement.evidence["after a reconnect"] == "none"


def test_one_kill_is_not_enough(gadget: Contract) -> None:
    class One(Story):
        kills = 1

    unknown(judged(gadget, One()), IN_TIME, OWNER, EVEN, EPOCHS, STALE, GONE, STREAMS)


def test_watchers_that_wait_too_long_are_violated(gadget: Contract) -> None:
    class Slow(Story):
        takes_s = budget_s(gadget)

    class InTime(Story):
        takes_s = budget_s(gadget) - 0.5

    judgement = judged(gadget, Slow())
    violated(judgement, IN_TIME)
    assert "after its owner i-a had died" in part(judgement, IN_TIME).reason
    held(judged(gadget, InTime()))


def test_a_watcher_that_hears_nothing_is_violated(gadget: Contract) -> None:
    class Silent(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            orphans[0].observed = False
            self.script.wait(budget_s(gadget))

    assert "heard nothing" in part(judged(gadget, Silent()), IN_TIME).reason


def test_without_a_time_of_its_own_the_lease_is_the_budget(gadget: Contract) -> None:
    leased = replace(gadget, timing=replace(gadget.timing, takeover_s=None))
    assert budget_s(leased) == 22.0
    assert budget_s(gadget) == gadget.timing.takeover_s


def test_watchers_that_reconnect_are_counted_apart(gadget: Contract) -> None:
    class CutOff(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            for one in orphans[:3]:
                one.session.closed(one.watchers[0], 1006)
                one.session.resumes(one.watchers[0], one.seq)

    judgement = judged(gadget, CutOff())
    held(judgement)
    assert judgement.evidence["after a reconnect"].endswith(" ms")


def test_the_time_before_the_ingress_lets_it_in_again_is_not_the_new_owners(gadget: Contract) -> None:
    class Outside(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            for one in orphans[:1]:
                who = one.watchers.pop()
                one.session.closed(who, 1006)
                self.pass_(int(10 * budget_s(gadget)))
                one.session.resumes(who, one.seq)
                one.watchers.append(who)

    judgement = judged(gadget, Outside())
    held(judgement)
    assert float(judgement.evidence["after a reconnect"].split(" / ")[0]) > 1000 * budget_s(gadget)


class Owners(Story):
    """The look at the owners after the first kill is another."""

    def owners(self) -> dict[str, list[str]]:
        owned = super().owners()
        self.looks = getattr(self, "looks", 0) + 1
        return self.spoil(owned) if self.looks == 2 else owned

    def spoil(self, owned: dict[str, list[str]]) -> dict[str, list[str]]:
        raise NotImplementedError


ORPHAN = "s15"  # of the first kill


def test_an_orphan_with_two_owners_is_violated(gadget: Contract) -> None:
    class Two(Owners):
        def spoil(self, owned: dict[str, list[str]]) -> dict[str, list[str]]:
            return {i: sorted({*ids, ORPHAN}) if i != "i-a" else ids for i, ids in owned.items()}

    judgement = judged(gadget, Two())
    violated(judgement, OWNER)
    assert "owned by i-b and i-c" in part(judgement, OWNER).reason


@pytest.mark.parametrize("owner", ["i-a", ""])
def test_an_orphan_of_the_dead_or_of_nobody_is_violated(gadget: Contract, owner: str) -> None:
    class Left(Owners):
        def spoil(self, owned: dict[str, list[str]]) -> dict[str, list[str]]:
            left = {i: [id_ for id_ in ids if id_ != ORPHAN] for i, ids in owned.items()}
            return left | ({owner: [*left[owner], ORPHAN]} if owner else {})

    judgement = judged(gadget, Left())
    violated(judgement, OWNER)
    assert f"owned by {owner or 'nobody'}" in part(judgement, OWNER).reason


def test_an_orphan_that_two_take_one_after_the_other_is_violated(gadget: Contract) -> None:
    class Again(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            orphans[0].pass_to(survivors[1])

    judgement = judged(gadget, Again())
    violated(judgement, OWNER, STREAMS)
    assert "taken over by i-b, then i-c" in part(judgement, OWNER).reason
    assert "has 2 interruptions" in part(judgement, STREAMS).reason


def test_orphans_that_one_takes_alone_are_violated(gadget: Contract) -> None:
    class Greedy(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors[:1])

    judgement = judged(gadget, Greedy())
    violated(judgement, EVEN)
    assert "0 + 7" in part(judgement, EVEN).reason


def test_orphans_that_are_dealt_by_chance_are_held(gadget: Contract) -> None:
    class Lots(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            for place, one in enumerate(orphans):
                one.pass_to(survivors[place % 3 == 0])

    held(judged(gadget, Lots()))


class Running(Story):
    """What replicas say runs in them, changed after the second kill."""

    def instances(self) -> list[dict[str, Any]]:
        said = super().instances()
        self.looks = getattr(self, "looks", 0) + 1
        return self.spoil(said) if self.looks == 2 else said

    def spoil(self, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise NotImplementedError


def test_a_gadget_that_runs_twice_or_nowhere_is_violated(gadget: Contract) -> None:
    class Twice(Running):
        def spoil(self, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**item, "gadgets": [{"sessionId": "s34"}, *item["gadgets"]]} for item in said]

    class Nowhere(Running):
        def spoil(self, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**item, "gadgets": [g for g in item["gadgets"] if g["sessionId"] != "s34"]} for item in said]

    for story, seen in ((Twice(), "s34 runs in 3 replicas"), (Nowhere(), "s34 runs nowhere")):
        judgement = judged(gadget, story)
        violated(judgement, ONCE)
        assert seen in part(judgement, ONCE).reason


def test_a_replica_that_does_not_say_what_runs_in_it_may_run_the_rest(gadget: Contract) -> None:
    class Unreachable(Running):
        def spoil(self, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [*said[:2], {"instance": REPLICAS[2], "reachable": False}]

    held(judged(gadget, Unreachable()))


def test_a_takeover_under_the_same_epoch_is_violated(gadget: Contract) -> None:
    class Same(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            for place, one in enumerate(orphans):
                one.pass_to(survivors[place % 2], raised=bool(place))

    judgement = judged(gadget, Same())
    violated(judgement, EPOCHS)
    assert "under the same epoch" in part(judgement, EPOCHS).reason


@pytest.mark.parametrize(("step", "seen"), [(0, "again, after"), (2, "after")])
def test_a_number_that_is_appended_twice_or_left_out_is_violated(gadget: Contract, step: int, seen: str) -> None:
    class Numbers(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            one = orphans[0]
            one.append(one.owner, one.seq + step, one.epoch)
            one.append(one.owner, one.seq, one.epoch)

    judgement = judged(gadget, Numbers())
    violated(judgement, NUMBERS)
    assert seen in part(judgement, NUMBERS).reason


class Late(Story):
    """What comes late is carried out."""

    def come_late(self, victim: str, one: Owned) -> None:
        one.append(victim, one.seq + 1, one.epoch - 1)
        one.seq += 1
        self.unit("i-x", "nothing")


def test_a_late_append_that_is_carried_out_is_violated(gadget: Contract) -> None:
    judgement = judged(gadget, Late())
    violated(judgement, STALE, STREAMS)  # whose watchers did not get it
    assert "under epoch" in part(judgement, STALE).reason


def test_where_nothing_came_late_it_is_unknown(gadget: Contract) -> None:
    class Nothing(Story):
        def come_late(self, victim: str, one: Owned) -> None:
            self.unit("i-x", f"epoch:{one.name} events:{one.name}", source="elsewhere:1")

    unknown(judged(gadget, Nothing()), STALE)


def test_where_links_cannot_be_held_it_does_not_count(gadget: Contract) -> None:
    class NoLinks(Story):
        late = False

        def kill(self, number: int) -> None:
            self.script.note("fault", "unsupported", fault="pod kill, its appends late", why="no links")
            super().kill(number)

    judgement = judged(gadget, NoLinks())
    held(judgement)
    assert part(judgement, STALE).missing == "no links"


def test_a_handed_over_session_is_appended_to_by_its_new_owner_over_the_same_connection(gadget: Contract) -> None:
    class Back(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            self.pass_(1)

    held(judged(gadget, Back()))


class Undead(Story):
    """Something of the first session that was deleted goes on: by default it is adopted after all."""

    def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
        super().adopt(orphans, survivors)
        if "undead" not in vars(self):
            self.undead = self.first
            self.rise(self.undead, survivors[0])

    def delete(self, one: Owned) -> None:
        super().delete(one)
        self.first = getattr(self, "first", one)

    def rise(self, one: Owned, by: str) -> None:
        self.unit(by, "commit", f"SADD backend:{by}:sessions {one.name}", f"SET epoch:{one.name} {self.next_epoch()}")


def test_a_deleted_session_that_is_taken_over_is_violated(gadget: Contract) -> None:
    judgement = judged(gadget, Undead())
    violated(judgement, GONE)
    assert "i-b became the owner of s0 after its delete was answered" in part(judgement, GONE).reason


def test_a_deleted_session_that_is_appended_to_is_violated(gadget: Contract) -> None:
    class Appended(Undead):
        def rise(self, one: Owned, by: str) -> None:
            one.append(by, one.seq + 2, self.epochs)

    judgement = judged(gadget, Appended())
    violated(judgement, GONE)
    assert "appended to the stream of s0" in part(judgement, GONE).reason


def test_a_deleted_session_that_is_owned_runs_or_is_listed_is_violated(gadget: Contract) -> None:
    class Shown(Undead):
        def rise(self, one: Owned, by: str) -> None:
            self.cast.append(one)
            one.owner = by

    assert "a replica owns s0" in part(judged(gadget, Shown()), GONE).reason
    assert "a replica still runs s0" in part(judged(gadget, Shown()), GONE).reason
    assert "replica i-a lists s0" in part(judged(gadget, Shown()), GONE).reason


def test_a_delete_of_unknown_outcome_may_be_answered_with_404(gadget: Contract) -> None:
    class Unclear(Story):
        def delete(self, one: Owned) -> None:
            self.script.op("delete", 701, one.name, type_="info", status=503)
            one.remove()
            self.script.op("delete", 702, one.name, type_="fail", status=404)
            self.cast.remove(one)

    held(judged(gadget, Unclear()))


def test_a_delete_that_is_never_answered_shows_nothing(gadget: Contract) -> None:
    class Unanswered(Story):
        def delete(self, one: Owned) -> None:
            self.script.op("delete", 701, one.name, type_="info", status=503)
            one.remove()
            self.cast.remove(one)

    unknown(judged(gadget, Unanswered()), GONE)


def test_deletes_long_after_a_kill_are_not_enough(gadget: Contract) -> None:
    class LongAfter(Story):
        def delete(self, one: Owned) -> None:
            self.script.wait(1.1)
            super().delete(one)

    assert part(judged(gadget, LongAfter()), GONE).verdict is Verdict.UNKNOWN


def test_a_loss_that_nothing_announces_is_violated(gadget: Contract) -> None:
    class Unannounced(Story):
        def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
            super().adopt(orphans, survivors)
            self.pass_(1)
            orphans[0].n += 9

    judgement = judged(gadget, Unannounced())
    violated(judgement, STREAMS)
    assert "counts" in part(judgement, STREAMS).reason


@pytest.mark.parametrize("lost_", ["the connection ended", ""])
def test_without_a_whole_trace_nothing_that_rests_on_it_is_known(gadget: Contract, lost_: str) -> None:
    class Untraced(Story):
        def write_trace(self, lost: str = lost_) -> None:
            if lost:
                super().write_trace(lost)

    judgement = judged(gadget, Untraced())
    unknown(judgement, OWNER, EPOCHS, NUMBERS, STALE, GONE)
    assert "trace" in part(judgement, OWNER).reason


def test_what_the_contract_lacks_does_not_count(gadget: Contract, guide: Contract) -> None:
    section = Story().tell().section()
    epochless = check(section, replace(gadget, redis=replace(gadget.redis, epoch=None)))
    held(epochless)
    assert "redis.epoch" in part(epochless, EPOCHS).missing
    assert "redis.epoch" in part(epochless, STALE).missing
    unowned = check(section, replace(gadget, redis=replace(gadget.redis, owned=None)))
    assert {p.name for p in unowned.parts if p.missing} == {OWNER, EVEN, EPOCHS}
    untold = check(section, replace(gadget, http=replace(gadget.http, running=None)))
    held(untold)
    assert "http.running" in part(untold, ONCE).missing
    assert {p.name for p in check(section, guide).parts if p.missing} >= {IN_TIME, ONCE, EPOCHS, NUMBERS, STALE}
