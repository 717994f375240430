from dataclasses import replace

import pytest
from checkers.delivery_story import Session
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.drain import FAULT, REQUESTS, SESSIONS, SLOW_EACH, check
from limpet.contract import Contract
from limpet.verdict import Verdict

TURNS = (("a", "c"), ("b", "d"))  # which replica goes, and which one has come for it
BEFORE, BETWEEN, AFTER = 8, 8, 8  # events of each session: at first, at each replica, at the end


class Story:
    """Two replicas are replaced; every watcher comes back twice. Subclasses change what goes wrong, and when."""

    sessions = SESSIONS
    requests = REQUESTS // 2
    bites = True
    recovers = True
    status: int | None = 0
    code: int | None = 1012

    def tell(self) -> Script:
        self.script = script = Script("drain")
        script.note("target", "local", replicas=2)
        self.streams = [Session(script, f"s{n}", f"01{n}").create() for n in range(self.sessions)]
        self.seq = 0
        for n, stream in enumerate(self.streams):
            for who in self.watchers(n):
                stream.joins(who, 0, pod="i-a")
        self.speak(BEFORE)
        self.steady()
        script.note("fault", "inject", fault=FAULT)
        for turn, (old, new) in enumerate(TURNS if self.bites else ()):
            self.turn(turn, old, new)
        script.note("fault", "effect" if self.bites else "no effect", fault=FAULT, why="nothing was replaced")
        script.note("fault", "recovered" if self.recovers else "not recovered", fault=FAULT, why="3 of 2 ready")
        self.speak(AFTER)
        self.afterwards()
        for n, stream in enumerate(self.streams):
            stream.delete()
            for who in self.watchers(n):
                stream.ends(who, self.last(stream) + 1)
        return script

    def watchers(self, n: int) -> tuple[int, ...]:
        return 100 + 10 * n, 105 + 10 * n

    def speak(self, events: int) -> None:
        for _ in range(events):
            self.seq += 1
            for n, stream in enumerate(self.streams):
                for who in self.watchers(n):
                    self.event(stream, who)

    def event(self, stream: Session, who: int) -> None:
        stream.gets(who, self.seq)

    def last(self, stream: Session) -> int:
        return self.seq

    def steady(self) -> None:
        """Before anything is disturbed."""

    def turn(self, turn: int, old: str, new: str) -> None:
        script = self.script
        for event in ("started", "ready", "listed"):
            self.pod(new, event)
        self.traffic(turn, old)
        for number in range(SLOW_EACH):
            script.add("invoke", "slow create", 50 + number)
        for event in ("terminating", "unlisted"):
            self.pod(old, event)
        script.wait(0.5)
        self.pod(old, "asked to stop")
        self.ask(old, 0.05)
        self.ask(old, 0.7)
        self.second_halves(turn, old)
        for n, stream in enumerate(self.streams):
            for who in self.watchers(n):
                self.move(stream, who, new)
        self.end(old)
        self.speak(BETWEEN)

    def pod(self, name: str, event: str, **data: object) -> int:
        return self.script.note("pod", event, name=name, instance=f"i-{name}", **data)

    def traffic(self, turn: int, old: str) -> None:
        for number in range(self.requests):
            self.script.op(("create", "read", "update", "list", "delete")[number % 5], 10, f"t{turn}.{number // 5}")

    def ask(self, old: str, after_s: float) -> None:
        self.script.wait(after_s)
        self.script.add("invoke", "ready", 30, value=old)
        self.script.add("fail", "ready", 30, value=old, status=503, pod=f"i-{old}")

    def second_halves(self, turn: int, old: str) -> None:
        for number in range(SLOW_EACH):
            self.script.add("ok", "slow create", 50 + number, f"slow {turn}.{number}", pod=f"i-{old}", status=201)

    def move(self, stream: Session, who: int, new: str) -> None:
        self.script.add("closed", "", who, stream.name, code=self.code)
        stream.resumes(who, self.seq, pod=f"i-{new}")

    def end(self, old: str) -> None:
        self.pod(old, "exited", status=self.status)

    def heartbeats(self) -> set[str]:
        return {"i-c", "i-d"}

    def named(self, n: int) -> dict[str, object]:
        return {"owners": ["i-c"], "websocket": "i-d"}

    def afterwards(self) -> None:
        keys = {name: {"value": "1", "ttl_ms": 9000} for name in self.heartbeats()}
        self.script.op("heartbeats", 2, value=keys, server_time=1.0)
        for n, stream in enumerate(self.streams):
            self.script.op("look", 2, stream.name, self.named(n), step="after")


def test_a_roll_out_that_nobody_notices_is_held(gadget: Contract) -> None:
    judgement = check(Story().tell().section(), gadget)
    held(judgement)
    assert judgement.evidence["replicas"] == 2
    assert judgement.evidence["streams closed"] == 2 * 2 * SESSIONS


@pytest.mark.parametrize("status", [143, -15, 1])
def test_how_a_replica_ends_is_its_own_affair_as_long_as_it_ends(gadget: Contract, status: int) -> None:
    class Other(Story):
        pass

    Other.status = status
    held(check(Other().tell().section(), gadget))


def test_a_replica_that_has_to_be_killed_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def end(self, old: str) -> None:
            self.script.wait(30)
            self.pod(old, "exited", status=-9)

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "in time")
    assert "had to be killed after 30." in part(judgement, "in time").reason


def test_a_roll_out_that_comes_to_no_end_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        recovers = False

    violated(check(Bug().tell().section(), gadget), "in time")


def test_a_roll_out_that_did_not_come_about_is_unknown(gadget: Contract) -> None:
    class Refused(Story):
        bites = False

    judgement = check(Refused().tell().section(), gadget)
    assert judgement.verdict is Verdict.UNKNOWN
    assert "did not come about" in part(judgement, "in time").reason


@pytest.mark.parametrize("op", ["create", "read", "update", "list", "delete", "connect"])
def test_a_request_that_fails_is_violated(gadget: Contract, op: str) -> None:
    class Bug(Story):
        def traffic(self, turn: int, old: str) -> None:
            super().traffic(turn, old)
            self.script.op(op, 12, "t", type_="info", status=502, text="Bad Gateway")

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "no failed request")
    assert "502 Bad Gateway" in part(judgement, "no failed request").reason


def test_what_fails_without_a_roll_out_is_not_blamed_on_it(gadget: Contract) -> None:
    class Unable(Story):
        def steady(self) -> None:
            self.script.op("update", 12, "t", type_="fail", status=405)

        def traffic(self, turn: int, old: str) -> None:
            super().traffic(turn, old)
            self.script.op("update", 12, "t", type_="fail", status=405)

    held(check(Unable().tell().section(), gadget))


def test_a_request_under_way_that_is_cut_off_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def second_halves(self, turn: int, old: str) -> None:
            super().second_halves(turn, old)
            if turn:
                self.script.add("invoke", "slow create", 59)
                self.script.add("info", "slow create", 59, error="ClientError: ReadError")

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "requests under way")


def test_requests_that_were_answered_before_the_stop_show_nothing(gadget: Contract) -> None:
    class Quick(Story):
        def turn(self, turn: int, old: str, new: str) -> None:
            if turn == 0:
                super().turn(turn, old, new)
                return
            for number in range(SLOW_EACH):
                self.script.op("slow create", 50 + number, f"slow {number}", pod=f"i-{old}", status=201)
            super().turn(turn, old, new)

        def second_halves(self, turn: int, old: str) -> None:
            if turn == 0:
                super().second_halves(turn, old)

    judgement = check(Quick().tell().section(), gadget)
    unknown(judgement, "requests under way")
    assert "nothing was under way at b" in part(judgement, "requests under way").reason


def test_a_replica_that_says_it_is_ready_while_it_stops_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def ask(self, old: str, after_s: float) -> None:
            self.script.wait(after_s)
            self.script.op("ready", 30, value=old, status=200, pod=f"i-{old}")

    violated(check(Bug().tell().section(), gadget), "not ready")


def test_a_last_yes_in_the_moment_of_the_stop_is_held(gadget: Contract) -> None:
    class Busy(Story):
        def ask(self, old: str, after_s: float) -> None:
            if after_s < 0.1:
                self.script.op("ready", 30, value=old, status=200, pod=f"i-{old}")
            super().ask(old, after_s)

    held(check(Busy().tell().section(), gadget))


def test_a_replica_that_does_not_answer_any_more_is_not_ready(gadget: Contract) -> None:
    class Gone(Story):
        def ask(self, old: str, after_s: float) -> None:
            self.script.add("invoke", "ready", 30, value=old)
            self.script.add("fail", "ready", 30, value=old, error="RefusedError: no connection")

    held(check(Gone().tell().section(), gadget))


def test_a_replica_that_nobody_asked_is_unknown(gadget: Contract) -> None:
    class Silent(Story):
        def ask(self, old: str, after_s: float) -> None:
            pass

    unknown(check(Silent().tell().section(), gadget), "not ready")


@pytest.mark.parametrize(("code", "word"), [(1001, "closed with 1001"), (1000, "1000"), (None, "cut off")])
def test_a_stream_that_is_closed_in_another_way_is_violated(gadget: Contract, code: int | None, word: str) -> None:
    class Bug(Story):
        def move(self, stream: Session, who: int, new: str) -> None:
            self.code = code if who == self.watchers(0)[0] and new == "d" else 1012
            super().move(stream, who, new)

    judgement = check(Bug().tell().section(), gadget)
    assert part(judgement, "close code").verdict is Verdict.VIOLATED
    assert word in part(judgement, "close code").reason


def test_watchers_that_were_never_closed_are_unknown(gadget: Contract) -> None:
    class Elsewhere(Story):
        def move(self, stream: Session, who: int, new: str) -> None:
            if who == self.watchers(0)[0] or new == "c":
                return
            super().move(stream, who, new)

    unknown(check(Elsewhere().tell().section(), gadget), "close code")


def test_an_interruption_is_violated_and_named_once_for_all_watchers(gadget: Contract) -> None:
    class Bug(Story):
        def event(self, stream: Session, who: int) -> None:
            if stream.name == "s3" and self.seq == BEFORE + 2:
                stream.interruption(who, self.seq)
            else:
                super().event(stream, who)

    judgement = check(Bug().tell().section(), gadget)
    violated(judgement, "handed over")
    assert len(part(judgement, "handed over").findings) == 1


def test_a_session_that_falls_silent_is_unknown(gadget: Contract) -> None:
    class Silent(Story):
        def last(self, stream: Session) -> int:
            return BEFORE + BETWEEN if stream.name == "s3" else super().last(stream)

        def event(self, stream: Session, who: int) -> None:
            if self.seq <= self.last(stream):
                super().event(stream, who)

    unknown(check(Silent().tell().section(), gadget), "handed over")


def test_the_last_batch_lost_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        """The source's count jumps where the session was handed over, and nothing says so."""

        def event(self, stream: Session, who: int) -> None:
            stream.gets(who, self.seq, n=self.seq + (3 if stream.name == "s5" and self.seq > BEFORE else 0))

    violated(check(Bug().tell().section(), gadget), "nothing lost")


def test_a_watcher_that_misses_what_others_got_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def event(self, stream: Session, who: int) -> None:
            if who != self.watchers(0)[0] or self.seq != BEFORE + 2:
                super().event(stream, who)

    violated(check(Bug().tell().section(), gadget), "nothing lost")


@pytest.mark.parametrize("key", ["owners", "websocket"])
def test_a_session_that_still_names_a_replica_that_went_is_violated(gadget: Contract, key: str) -> None:
    class Bug(Story):
        def named(self, n: int) -> dict[str, object]:
            return super().named(n) | ({key: ["i-a"] if key == "owners" else "i-a"} if n == 4 else {})

    violated(check(Bug().tell().section(), gadget), "nothing left behind")


def test_a_heartbeat_that_stays_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def heartbeats(self) -> set[str]:
            return super().heartbeats() | {"i-b"}

    violated(check(Bug().tell().section(), gadget), "nothing left behind")


def test_too_few_requests_are_unknown(gadget: Contract) -> None:
    class Thin(Story):
        requests = 1

    unknown(check(Thin().tell().section(), gadget), "no failed request")


def test_what_the_contract_lacks_does_not_count(gadget: Contract, bare: Contract) -> None:
    section = Story().tell().section()
    assert gadget.websocket
    plain = replace(gadget, websocket=replace(gadget.websocket, seq=None))
    judgement = check(section, plain)
    held(judgement)
    assert part(judgement, "nothing lost").missing
    blind = check(section, replace(bare, http=replace(bare.http, ready=None)))
    assert {p.name for p in blind.parts if not p.missing} == {"in time", "no failed request"}
    held(blind)
