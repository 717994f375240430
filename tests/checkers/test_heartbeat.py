from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from math import inf
from random import Random
from typing import Any

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script, pod

from limpet.checkers.heartbeat import check
from limpet.contract import Contract, Log
from limpet.verdict import Verdict

NOW = 1_795_471_300.25  # of the server, when the story begins
KILL, BORN, STOP, END = 40.0, 41.0, 42.5, 59.0  # seconds into it


class Story:
    """Two replicas that beat; one is killed and comes back as another, the second is stopped. Subclasses change that.

    Redis is played: whoever lives writes its key at its moments, with a value and a time to live.
    """

    look_every_s = 0.2
    gaps: tuple[float, ...] = ()  # moments at which the harness sees nothing for 1.5 s
    bites = True
    lives = {"i-a": (-1.7, KILL), "i-b": (-0.9, STOP), "i-c": (BORN - 0.2, inf)}  # noqa: RUF012  read only

    def intervals(self, instance: str) -> Iterator[float]:
        return cycle([5.0])

    def first(self, instance: str) -> float:
        return 0.0

    def value(self, moment: float) -> Any:
        return str(int(NOW + moment))

    def ttl_s(self, instance: str) -> float:
        return 15.0

    def key(self, instance: str) -> str:
        return instance

    def swept(self, instance: str) -> float:
        """When somebody else removes the key."""
        return inf

    def seen(self, now: float) -> dict[str, Any]:
        keys: dict[str, tuple[float, float]] = {}
        for instance, (born, died) in self.lives.items():
            moment, intervals = born + self.first(instance), self.intervals(instance)
            while moment <= min(now, died):
                left = moment + self.ttl_s(instance) - now
                if left > 0 and now < self.swept(instance):
                    keys[self.key(instance)] = max(keys.get(self.key(instance), (-inf, 0.0)), (moment, left))
                moment += next(intervals)
        return {name: self.entry(moment, left) for name, (moment, left) in keys.items()}

    def entry(self, moment: float, left: float) -> dict[str, Any]:
        return {"value": self.value(moment), "ttl_ms": -1 if left == inf else int(left * 1000)}

    def look(self, script: Script) -> None:
        script.op("heartbeats", 2, value=self.seen(script.now_s + 0.001), server_time=NOW + script.now_s + 0.001)

    def watch(self, script: Script, until: float) -> None:
        while script.now_s < until:
            script.wait(self.look_every_s)
            if not any(gap <= script.now_s < gap + 1.5 for gap in self.gaps):
                self.look(script)

    def recover(self, script: Script) -> None:
        script.wait(BORN - script.now_s)

    def tell(self) -> Script:
        script = Script("heartbeat")
        script.note("target", replicas=2)
        script.note("pods", pods=[pod("a"), pod("b")])
        script.note("watch", "beats")
        self.watch(script, 36.1)
        script.wait(KILL - 0.01 - script.now_s)
        script.note("pods", pods=[pod("a"), pod("b")])
        script.note("watch", "deaths")
        script.note("fault", "inject", fault="pod kill")
        script.note("fault", "effect" if self.bites else "no effect", fault="pod kill", why="it lives")
        script.note("fault", "heal", fault="pod kill")
        self.recover(script)
        script.note("fault", "recovered", fault="pod kill")
        script.note("pods", pods=[pod("c"), pod("b")])
        for name in "cb":
            script.note("born", name, instance=f"i-{name}")
        self.watch(script, STOP - 0.01)
        script.note("stopped loop", "b", instance="i-b")
        self.watch(script, END)
        script.note("resumed loop", "b", instance="i-b")
        return script


def test_a_steady_beat_is_held(gadget: Contract, guide: Contract) -> None:
    section = Story().tell().section()
    held(check(section, gadget))
    held(check(section, guide))


@pytest.mark.parametrize("seed", range(5))
def test_jitter_within_a_fifth_is_held(gadget: Contract, seed: int) -> None:
    class Unsteady(Story):
        def intervals(self, instance: str) -> Iterator[float]:
            random = Random(f"{seed}/{instance}")
            return (random.uniform(4.0, 6.0) for _ in cycle([0]))

    held(check(Unsteady().tell().section(), gadget))


def test_beats_exactly_at_both_boundaries_are_held(gadget: Contract) -> None:
    class Unsteady(Story):
        def intervals(self, instance: str) -> Iterator[float]:
            return cycle([6.0, 4.0])

    held(check(Unsteady().tell().section(), gadget))


@pytest.mark.parametrize("interval_s", [10.0, 6.4, 3.6, 1.0])
def test_another_interval_is_violated(gadget: Contract, interval_s: float) -> None:
    class Bug(Story):
        def intervals(self, instance: str) -> Iterator[float]:
            return cycle([interval_s])

    violated(check(Bug().tell().section(), gadget), "interval")


def test_one_missing_beat_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def intervals(self, instance: str) -> Iterator[float]:
            return iter([5.0, 5.0, 5.0, 10.0, *[5.0] * 20] if instance == "i-b" else [5.0] * 20)

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "interval")
    assert "i-b" in part(judgement, "interval").reason


def test_a_beat_that_stops_for_good_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        lives = Story.lives | {"i-a": (-1.7, 20.0)}

    violated(check(Bug().tell().section(), gadget), "interval")


@pytest.mark.parametrize("value", ["0", "soon", "nan", "inf", "", None, str(int(NOW * 1000)), str(int(NOW) + 3600)])
def test_a_value_that_is_not_the_time_is_violated(gadget: Contract, value: Any) -> None:
    class Bug(Story):
        def value(self, moment: float) -> Any:
            return value

    violated(check(Bug().tell().section(), gadget), "value")


def test_a_time_with_a_fraction_is_held(gadget: Contract) -> None:
    class Fine(Story):
        def value(self, moment: float) -> Any:
            return f"{NOW + moment:.6f}"

    held(check(Fine().tell().section(), gadget))


@pytest.mark.parametrize("ttl_s", [inf, 60.0])
def test_a_key_that_lives_too_long_is_violated_though_others_sweep_it(gadget: Contract, ttl_s: float) -> None:
    class Bug(Story):
        def ttl_s(self, instance: str) -> float:
            return ttl_s

        def swept(self, instance: str) -> float:
            return self.lives[instance][1] + 10

    violated(check(Bug().tell().section(), gadget), "expiry")


@pytest.mark.parametrize("ttl_s", [inf, 60.0])
def test_a_key_that_lives_too_long_outlives_its_replica(gadget: Contract, ttl_s: float) -> None:
    class Bug(Story):
        def ttl_s(self, instance: str) -> float:
            return ttl_s

    violated(check(Bug().tell().section(), gadget), "expiry", "death", "stopped loop")


def test_a_key_that_expires_between_beats_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def ttl_s(self, instance: str) -> float:
            return 4.5 if instance == "i-b" else 15.0

    violated(check(Bug().tell().section(), gadget), "expiry")


def test_a_shorter_life_that_bridges_two_beats_is_held(gadget: Contract) -> None:
    class Fine(Story):
        def ttl_s(self, instance: str) -> float:
            return 7.0

    held(check(Fine().tell().section(), gadget))


@pytest.mark.parametrize("gap", [2.9, 3.2, 12.0, 30.0, KILL + 1.0, STOP, STOP + 13.0])
def test_looks_that_come_late_blame_nobody(gadget: Contract, gap: float) -> None:
    class Busy(Story):
        gaps = (gap,)

    held(check(Busy().tell().section(), gadget))


def test_few_looks_blame_nobody(gadget: Contract) -> None:
    class Busy(Story):
        look_every_s = 2.3

    assert check(Busy().tell().section(), gadget).verdict is not Verdict.VIOLATED


@pytest.mark.parametrize("late", ["i-a", "i-c"])
def test_a_first_beat_after_an_interval_is_violated(gadget: Contract, late: str) -> None:
    class Bug(Story):
        lives = Story.lives | {"i-a": (-0.5, KILL)}

        def first(self, instance: str) -> float:
            return 5.0 if instance == late else 0.0

    violated(check(Bug().tell().section(), gadget), "at once")


def test_a_first_beat_just_after_being_ready_is_held(gadget: Contract) -> None:
    class Fine(Story):
        def first(self, instance: str) -> float:
            return 0.8 if instance == "i-c" else 0.0

    held(check(Fine().tell().section(), gadget))


class ReadyBeforeItIsListed(Story):
    """The target sees the new replica become ready some time before the ingress lists it."""

    lives = Story.lives | {"i-c": (KILL + 0.1, inf)}

    def recover(self, script: Script) -> None:
        script.wait(0.2)
        script.note("pod", "ready", instance="i-c")
        self.watch(script, BORN - 0.01)


def test_a_first_beat_long_after_the_target_saw_it_ready_is_violated(gadget: Contract) -> None:
    class Bug(ReadyBeforeItIsListed):
        def first(self, instance: str) -> float:
            return 1.5 if instance == "i-c" else 0.0

    violated(check(Bug().tell().section(), gadget), "at once")


def test_a_first_beat_soon_after_the_target_saw_it_ready_is_held(gadget: Contract) -> None:
    class Fine(ReadyBeforeItIsListed):
        def first(self, instance: str) -> float:
            return 0.8 if instance == "i-c" else 0.0

    held(check(Fine().tell().section(), gadget))


def test_the_key_of_the_killed_that_others_keep_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        lives = Story.lives | {"i-a": (-1.7, inf)}

    violated(check(Bug().tell().section(), gadget), "death")


def test_a_beat_that_goes_on_without_its_loop_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        lives = Story.lives | {"i-b": (-0.9, inf)}

    violated(check(Bug().tell().section(), gadget), "stopped loop")


def test_keys_that_go_before_their_time_are_held(gadget: Contract) -> None:
    class Fine(Story):
        def swept(self, instance: str) -> float:
            return self.lives[instance][1] + 0.2

    held(check(Fine().tell().section(), gadget))


def test_a_key_that_goes_while_it_is_read_is_held(gadget: Contract) -> None:
    class Fine(Story):
        def seen(self, now: float) -> dict[str, Any]:
            before = super().seen(now - self.look_every_s)
            return {name: {"value": None, "ttl_ms": -2} for name in before} | super().seen(now)

    held(check(Fine().tell().section(), gadget))


def test_a_look_that_took_long_does_not_make_a_key_older(gadget: Contract) -> None:
    class Slow(Story):
        def look(self, script: Script) -> None:
            script.add("invoke", "heartbeats", 2)
            value, server_time = self.seen(script.now_s), NOW + script.now_s
            script.wait(0.6 if KILL + 14 < script.now_s < STOP + 15 else 0.0)
            script.add("ok", "heartbeats", 2, value=value, server_time=server_time)

    held(check(Slow().tell().section(), gadget))


def test_replicas_that_share_a_key_are_violated(gadget: Contract) -> None:
    class Bug(Story):
        def key(self, instance: str) -> str:
            return "backend"

    violated(check(Bug().tell().section(), gadget), "interval", "at once")


def test_where_logs_do_not_name_instances_the_rest_is_judged(gadget: Contract) -> None:
    nameless = replace(gadget, log=Log())
    script = Story().tell()
    lines = [_unnamed(line) for line in script.section().lines]
    section = type(script.section())(lines, "history-heartbeat.jsonl")
    held(check(section, nameless))
    assert part(check(section, nameless), "death").missing


def test_where_logs_do_not_name_instances_a_replica_that_never_beats_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        lives = {name: life for name, life in Story.lives.items() if name != "i-b"}  # noqa: RUF012  read only

    section = Bug().tell().section()
    lines = [_unnamed(line) for line in section.lines]
    violated(check(type(section)(lines, section.source), replace(gadget, log=Log())), "interval")


def _unnamed(line: Any) -> Any:
    if line.type != "pods":
        return line
    return type(line)(line.t, "pods", data={"pods": [one | {"instance": ""} for one in line.data["pods"]]})


def test_a_kill_that_did_not_bite_is_unknown(gadget: Contract) -> None:
    class Toothless(Story):
        bites = False

    judgement = check(Toothless().tell().section(), gadget)
    unknown(judgement, "death")
    assert "it lives" in part(judgement, "death").reason


def test_beats_that_were_not_watched_long_enough_are_unknown(gadget: Contract) -> None:
    section = Story().tell().section()
    short = [line for line in section.lines if not (line.op == "heartbeats" and line.t < 20_000_000_000)]
    unknown(check(type(section)(short, section.source), gadget), "interval")


def test_without_a_heartbeat_key_there_is_nothing_to_judge(bare: Contract) -> None:
    assert check(Story().tell().section(), bare).verdict is Verdict.UNKNOWN
