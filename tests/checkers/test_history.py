from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.history import LIMIT, check
from limpet.contract import Contract
from limpet.verdict import Verdict

KINDS = {"watched": 1, "late": 1, "twice": 2, "unwatched": 0}
EVENTS = 40
MIDDLE = EVENTS // 2


class Story:
    """Sessions of every kind, whose sources count to 40; subclasses change what is streamed and what is recorded."""

    asked_after_s = 0.5  # from the delete to the last replay and search
    numbered = True
    pace_s = 0.1

    def payload(self, session: str, n: int) -> Any:
        return {"type": "connect", "n": n, "timestamp_raw": crc32(session.encode()) + n}

    def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
        return came

    def item(self, session: str, n: int) -> Any:
        number = {"seq": n} if self.numbered else {}
        return {"type": "event", "sessionId": session, "data": self.payload(session, n)} | number

    def came(self, session: str) -> list[int]:
        return list(range(1, EVENTS + 1))

    def recorded(self, session: str, came: list[int]) -> list[int]:
        return came

    def replay(self, session: str, came: list[int]) -> Any:
        return [self.item(session, n) for n in self.recorded(session, came)]

    def first_replay(self, session: str, came: list[int]) -> Any:
        return self.replay(session, came)

    def search(self, session: str, came: list[int]) -> Any:
        return self.replay(session, came) or []

    def answer(self, script: Script, op: str, session: str, body: Any) -> None:
        """An answer; without a body, that the session is not found."""
        if body is None:
            script.op(op, 1, session, type_="fail", status=404)
        else:
            script.op(op, 1, session, body, status=200)

    def stream(self, script: Script, session: str, came: list[int], watchers: list[int], late: int) -> None:
        connected = False
        for n in came:
            script.wait(self.pace_s)
            for process in watchers if n > late and not connected else ():
                script.op("connect", process, session, pod="i-a")
            connected = connected or n > late
            for number, process in enumerate(watchers):
                if n in self.gets(session, number, came) and n > late:
                    payload = self.payload(session, n)
                    count = {"n": payload["n"]} if isinstance(payload, dict) and "n" in payload else {}
                    seq = n if self.numbered else None
                    script.add("message", "event", process, session, seq, payload=payload, **count)

    def tell(self, sessions: int = 12) -> Script:
        script = Script("history")
        for number in range(sessions):
            kind = list(KINDS)[number % len(KINDS)]
            session, came = f"{kind} {number}", self.came(f"{kind} {number}")
            script.op("create", 1, session)
            script.note("kind", kind, session=session)
            watchers = [100 * number + k + 100 for k in range(KINDS[kind])]
            self.stream(script, session, came, watchers, MIDDLE if kind == "late" else 0)
            self.answer(script, "replay live", session, self.first_replay(session, came))
            self.answer(script, "search live", session, self.search(session, came))
            script.op("delete", 1, session)
            for process in watchers:
                script.add("closed", process=process, session=session, code=1000)
            self.answer(script, "replay after", session, self.first_replay(session, came))
            script.wait(self.asked_after_s)
            self.answer(script, "replay after", session, self.first_replay(session, came))
            self.answer(script, "search after", session, self.search(session, came))
            self.answer(script, "replay after", session, self.replay(session, came))
        return script


class Waited(Story):
    """Asked again until nothing could be on its way any more."""

    asked_after_s = 10.1


class Plain(Waited):
    """A backend of the older kind: nothing is numbered, sources do not count."""

    numbered = False

    def payload(self, session: str, n: int) -> Any:
        return {"type": "connect", "timestamp_raw": crc32(session.encode()) + n}

    def item(self, session: str, n: int) -> Any:
        return {"session_id": session, "eventType": "tcp", "timestamp": n, "data": self.payload(session, n)}


class Same(Plain):
    """One whose source says the same all the time."""

    def payload(self, session: str, n: int) -> Any:
        return {"type": "connect", "error": ""}


def test_what_was_streamed_is_held(gadget: Contract) -> None:
    held(check(Story().tell().section(), gadget))


def test_without_numbers_and_counts_the_rest_is_judged(guide: Contract) -> None:
    judgement = check(Plain().tell().section(), guide)
    assert part(judgement, "complete").missing
    held(judgement)


def test_events_that_all_say_the_same_are_held(guide: Contract, gadget: Contract) -> None:
    held(check(Same().tell().section(), guide))
    silent = replace(gadget, websocket=guide.websocket)
    held(check(Same().tell().section(), silent))


def test_numbers_in_the_stream_only_are_held(gadget: Contract) -> None:
    class Fine(Story):
        def item(self, session: str, n: int) -> Any:
            return {"data": self.payload(session, n)}

    held(check(Fine().tell().section(), gadget))


@pytest.mark.parametrize("envelope", [lambda a: {"events": a}, lambda a: {"errors": [], "count": 3, "events": a}])
def test_an_array_in_an_object_is_held(gadget: Contract, envelope: Any) -> None:
    class Fine(Story):
        def replay(self, session: str, came: list[int]) -> Any:
            return envelope(super().replay(session, came))

    held(check(Fine().tell().section(), gadget))


def test_payloads_without_an_envelope_are_held(gadget: Contract, guide: Contract) -> None:
    class Bare(Story):
        def item(self, session: str, n: int) -> Any:
            return self.payload(session, n)

    class Snapshots(Plain):
        def payload(self, session: str, n: int) -> Any:
            return [{"proc": n}, {"proc": session}]

    held(check(Bare().tell().section(), gadget))
    held(check(Snapshots().tell().section(), guide))


def test_interruptions_and_ends_are_no_events(gadget: Contract) -> None:
    class Fine(Story):
        def replay(self, session: str, came: list[int]) -> Any:
            events = super().replay(session, came)
            between = {"type": "interruption", "seq": 5, "since": "", "until": "", "reason": "owner lost"}
            return [*events[:5], between, *events[5:], {"type": "session_ended", "seq": 99, "reason": "stopped"}]

        def search(self, session: str, came: list[int]) -> Any:
            return super().replay(session, came)

    held(check(Fine().tell().section(), gadget))


def test_a_streamed_event_that_is_missing_is_violated(gadget: Contract, guide: Contract) -> None:
    class Bug(Waited):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return [n for n in came if (session, n) != ("watched 4", 30)]

    class PlainBug(Plain):
        recorded = Bug.recorded

    violated(check(Bug().tell().section(), gadget), "replay equals stream")
    violated(check(PlainBug().tell().section(), guide), "replay equals stream")


def test_events_that_all_say_the_same_are_counted(guide: Contract) -> None:
    class Missing(Same):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return came[1:] if session == "watched 4" else came

    violated(check(Missing().tell().section(), guide), "replay equals stream")


def test_an_event_that_may_be_on_its_way_is_unknown(gadget: Contract) -> None:
    class Lagging(Story):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return [n for n in came if (session, n) != ("watched 4", 30)]

    unknown(check(Lagging().tell().section(), gadget), "replay equals stream")


def test_an_answer_that_was_cut_is_unknown(gadget: Contract) -> None:
    class Cut(Waited):
        def came(self, session: str) -> list[int]:
            return list(range(1, LIMIT + 2)) if session == "watched 0" else super().came(session)

        def recorded(self, session: str, came: list[int]) -> list[int]:
            return came[:LIMIT]

    unknown(check(Cut().tell().section(), gadget), "replay equals stream")


def test_a_history_that_lags_and_completes_is_held(gadget: Contract) -> None:
    class Lagging(Waited):
        def first_replay(self, session: str, came: list[int]) -> Any:
            return [self.item(session, n) for n in came if n % 3]

    held(check(Lagging().tell().section(), gadget))


@pytest.mark.parametrize("where", ["watched 4", "unwatched 3"])
def test_an_event_that_is_there_twice_is_violated(gadget: Contract, where: str) -> None:
    class Bug(Story):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return sorted([*came, 30]) if session == where else came

    violated(check(Bug().tell().section(), gadget), "each once")


def test_events_without_number_that_are_there_twice_are_violated(guide: Contract) -> None:
    class Bug(Plain):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return sorted(came * 2)

    violated(check(Bug().tell().section(), guide), "each once")


def test_a_second_copy_at_the_end_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return [*came, 30]

    violated(check(Bug().tell().section(), gadget), "each once")


@pytest.mark.parametrize("where", ["watched 4", "unwatched 3"])
def test_another_order_is_violated(gadget: Contract, where: str) -> None:
    class Bug(Story):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return [*came[:30], came[31], came[30], *came[32:]] if session == where else came

    violated(check(Bug().tell().section(), gadget), "replay equals stream")


def test_another_order_without_numbers_is_violated(guide: Contract) -> None:
    class Bug(Plain):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return came[::-1]

    violated(check(Bug().tell().section(), guide), "replay equals stream")


@pytest.fixture
def alone(gadget: Contract) -> Contract:
    """Events are numbered, and nobody else is asked to judge the way to the watchers."""
    claimed = tuple(name for name in gadget.claims.guarantees if name != "continuity")
    return replace(gadget, claims=replace(gadget.claims, guarantees=claimed))


def test_an_event_that_was_not_streamed_between_others_is_violated(alone: Contract, guide: Contract) -> None:
    class Bug(Story):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return [n for n in came if (session, n) != ("watched 4", 30)]

    class PlainBug(Plain):
        gets = Bug.gets

    violated(check(Bug().tell().section(), alone), "replay equals stream")
    violated(check(PlainBug().tell().section(), guide), "replay equals stream")


def test_what_goes_wrong_on_the_way_to_a_watcher_is_for_continuity_to_blame(gadget: Contract, alone: Contract) -> None:
    class Dropped(Waited):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return [n for n in came if (session, n) != ("watched 4", 30)]

    class Swapped(Waited):
        def stream(self, script: Script, session: str, came: list[int], watchers: list[int], late: int) -> None:
            swapped = [*came[:29], came[30], came[29], *came[31:]]
            super().stream(script, session, swapped, watchers, late)

    class Twice(Waited):
        def stream(self, script: Script, session: str, came: list[int], watchers: list[int], late: int) -> None:
            super().stream(script, session, [*came[:30], *came[29:]], watchers, late)

    for bug in (Dropped, Swapped, Twice):
        held(check(bug().tell().section(), gadget))
    violated(check(Dropped().tell().section(), alone), "replay equals stream")
    violated(check(Swapped().tell().section(), alone), "replay equals stream")


def test_an_event_that_names_another_session_is_for_continuity_to_blame(gadget: Contract, alone: Contract) -> None:
    script = Waited().tell()
    script.add("message", "event", 100, "watched 0", 7, payload={"n": 7, "of": "another"}, n=7, of="watched 4")
    held(check(script.section(), gadget))
    violated(check(script.section(), alone), "replay equals stream")


def test_a_streamed_event_that_is_missing_is_violated_wherever_the_way_is_judged(gadget: Contract) -> None:
    class Bug(Waited):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return [n for n in came if n != 20]

        def recorded(self, session: str, came: list[int]) -> list[int]:
            return [n for n in came if n != 30]

    violated(check(Bug().tell().section(), gadget), "replay equals stream", "complete")


def test_events_of_others_between_its_own_are_violated(gadget: Contract) -> None:
    class Bug(Story):
        def replay(self, session: str, came: list[int]) -> Any:
            events = super().replay(session, came)
            return [*events[:30], self.item("another", 30), *events[30:]] if session == "watched 4" else events

    violated(check(Bug().tell().section(), gadget), "replay equals stream")


def test_a_session_without_watchers_that_is_not_recorded_is_violated(gadget: Contract, guide: Contract) -> None:
    class Bug(Waited):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return [] if session.startswith("unwatched") else came

    class PlainBug(Plain):
        recorded = Bug.recorded

    class Silent(PlainBug):
        pace_s = 1.1

    class Early(Story):
        recorded = Bug.recorded

    violated(check(Bug().tell().section(), gadget), "unwatched")
    violated(check(PlainBug().tell().section(), guide), "unwatched")
    unknown(check(Silent().tell().section(), guide), "unwatched")  # its sources may have had nothing to say
    unknown(check(Early().tell().section(), gadget), "unwatched", "complete")


def test_a_history_that_begins_with_the_first_watcher_is_violated(gadget: Contract, guide: Contract) -> None:
    class Bug(Waited):
        def recorded(self, session: str, came: list[int]) -> list[int]:
            return came[MIDDLE:] if session.startswith("late") else came

    class PlainBug(Plain):
        recorded = Bug.recorded

    violated(check(Bug().tell().section(), gadget), "unwatched")
    violated(check(PlainBug().tell().section(), guide), "unwatched")


def test_a_late_watcher_of_a_slow_source_is_held(guide: Contract) -> None:
    class Slow(Plain):
        pace_s = 1.1

        def came(self, session: str) -> list[int]:
            return list(range(MIDDLE + 1, EVENTS + 1)) if session.startswith("late") else super().came(session)

    held(check(Slow().tell().section(), guide))


def test_a_silent_loss_before_the_stream_is_violated(gadget: Contract) -> None:
    class Bug(Waited):
        def came(self, session: str) -> list[int]:
            return [n for n in super().came(session) if (session, n) != ("twice 2", 30)]

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "complete")
    assert "from 29 to 31" in part(judgement, "complete").reason


def test_a_loss_that_is_announced_is_held(gadget: Contract) -> None:
    class Fine(Waited):
        def came(self, session: str) -> list[int]:
            return [n for n in super().came(session) if not 10 < n < 15]

        def replay(self, session: str, came: list[int]) -> Any:
            between = {"type": "interruption", "since": "", "until": "", "reason": "owner lost"}
            events = super().replay(session, came)
            return [*events[:10], between, *events[10:]]

    held(check(Fine().tell().section(), gadget))


def test_two_watchers_who_share_the_events_are_violated(alone: Contract, guide: Contract) -> None:
    class Bug(Story):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return [n for n in came if n % 2 == watcher] if session.startswith("twice") else came

    class PlainBug(Plain):
        gets = Bug.gets

    violated(check(Bug().tell().section(), alone), "viewers agree")
    violated(check(PlainBug().tell().section(), guide), "viewers agree")


def test_a_second_watcher_who_lacks_one_event_is_violated(alone: Contract) -> None:
    class Bug(Story):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return [n for n in came if n != MIDDLE or watcher == 0 or not session.startswith("twice")]

    violated(check(Bug().tell().section(), alone), "viewers agree")


def test_two_watchers_who_came_and_left_one_after_the_other_are_held(gadget: Contract) -> None:
    class Fine(Story):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return came[3:] if watcher else came[:-2]

    held(check(Fine().tell().section(), gadget))


def test_two_watchers_of_a_source_that_hardly_speaks_are_not_blamed(guide: Contract) -> None:
    class Sparse(Plain):
        def gets(self, session: str, watcher: int, came: list[int]) -> list[int]:
            return came[30:] if watcher else came[:30]  # the one left as the other came

    unknown(check(Sparse().tell().section(), guide), "viewers agree")


def test_an_answer_that_fails_is_violated(gadget: Contract) -> None:
    script = Story().tell()
    script.op("replay live", 1, "watched 0", type_="fail", status=503, text="no history")
    violated(check(script.section(), gadget), "answers")


def test_a_session_that_is_not_found_is_one_without_events(gadget: Contract, guide: Contract) -> None:
    class Unwatched(Waited):
        lost = "unwatched"

        def replay(self, session: str, came: list[int]) -> Any:
            return None if session.startswith(self.lost) else super().replay(session, came)

    class Watched(Unwatched):
        lost = "watched"

    class Silent(Plain):
        pace_s = 1.1

        def replay(self, session: str, came: list[int]) -> Any:
            return None if session.startswith("unwatched") else super().replay(session, came)

    violated(check(Unwatched().tell().section(), gadget), "unwatched")
    violated(check(Watched().tell().section(), gadget), "replay equals stream")
    unknown(check(Silent().tell().section(), guide), "unwatched")


def test_a_search_that_lacks_an_event_is_violated(gadget: Contract) -> None:
    class Bug(Waited):
        def search(self, session: str, came: list[int]) -> Any:
            return [self.item(session, n) for n in came if n != 30]

    class Early(Story):
        search = Bug.search

    violated(check(Bug().tell().section(), gadget), "search")
    unknown(check(Early().tell().section(), gadget), "search")


@pytest.mark.parametrize("more", [[("watched 0", 7)], [("twice 6", 7)]])
def test_a_search_that_finds_events_of_others_or_twice_is_violated(
    gadget: Contract, guide: Contract, more: list[tuple[str, int]]
) -> None:
    class Bug(Story):
        def search(self, session: str, came: list[int]) -> Any:
            strange = [self.item(*one) for one in more] if session == "twice 6" else []
            return [*self.replay(session, came), *strange]

    class PlainBug(Plain):
        search = Bug.search

    violated(check(Bug().tell().section(), gadget), "search")
    violated(check(PlainBug().tell().section(), guide), "search")


def test_a_search_in_another_order_without_numbers_is_held(gadget: Contract) -> None:
    class Fine(Story):
        def search(self, session: str, came: list[int]) -> Any:
            return {"rows": [{"data": self.payload(session, n)} for n in reversed(came)]}

    held(check(Fine().tell().section(), gadget))


def test_a_search_that_is_ahead_of_the_replay_before_it_is_held(gadget: Contract) -> None:
    class Growing(Story):
        def first_replay(self, session: str, came: list[int]) -> Any:
            return [self.item(session, n) for n in came[:-5]]

    held(check(Growing().tell().section(), gadget))


def test_where_there_is_only_search_it_is_compared_with_the_stream(gadget: Contract) -> None:
    class Bug(Waited):
        def search(self, session: str, came: list[int]) -> Any:
            return [self.item(session, n) for n in came if n != 30]

    without = replace(gadget, http=replace(gadget.http, events=None))
    held(check(_without_replays(Story()), without))
    violated(check(_without_replays(Bug()), without), "search")


def _without_replays(story: Story) -> Any:
    section = story.tell().section()
    return type(section)([line for line in section.lines if not line.op.startswith("replay")], section.source)


def test_too_few_sessions_are_unknown(gadget: Contract) -> None:
    assert check(Story().tell(4).section(), gadget).verdict is Verdict.UNKNOWN


def test_without_a_history_there_is_nothing_to_judge(bare: Contract) -> None:
    without = replace(bare, http=replace(bare.http, search=None))
    assert check(Story().tell().section(), without).verdict is Verdict.UNKNOWN
