from dataclasses import replace

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.affinity import check
from limpet.contract import Contract
from limpet.verdict import Verdict
from limpet.workloads.affinity import ORDERS

PLACES = ("i-a", "i-b")


class Story:
    """Sessions whose watchers come and go; subclasses change what the key says, and where watchers land."""

    places = PLACES
    looked_after_s = 1.1  # how long after a change the last look of its step begins
    looked_after_kill_s = 17.1
    bites = True
    recovers = True
    refuses = ""  # the session whose second watcher is refused

    def named(self, step: str, open_: list[str], before: str | None) -> str | None:
        """What the key says, with these sockets open in the order of their opening; `before` is what it said before."""
        return open_[-1] if open_ else None

    def killed(self, open_: list[str], left: list[str], before: str | None) -> str | None:
        return self.named("killed", left, before)

    def owners(self, session: str) -> list[str]:
        return []

    def header(self, replica: str) -> str:
        return replica

    def __init__(self) -> None:
        self._script = Script("affinity")
        self._process = 100
        self._open: dict[str, list[tuple[int, str]]] = {}
        self._said: dict[str, str | None] = {}

    def create(self, session: str) -> None:
        self._script.op("create", 1, session)
        self._script.op("look", 2, session, {"websocket": None, "owners": self.owners(session)}, step="who")
        self._open[session], self._said[session] = [], None

    def open(self, session: str, replica: str) -> None:
        self._process += 1
        if session == self.refuses and self._open[session]:
            self._script.op("connect", self._process, session, type_="fail", status=502)
            return
        self._script.op("connect", self._process, session, pod=self.header(replica))
        self._open[session].append((self._process, replica))

    def close(self, session: str, replica: str) -> None:
        gone = next((pair for pair in self._open[session] if pair[1] == replica), None)
        if gone:
            self._open[session].remove(gone)
            self._script.add("closed", process=gone[0], session=session, code=1000)

    def look(self, session: str, step: str) -> None:
        open_ = [replica for _, replica in self._open[session]]
        said = self.named(step, open_, self._said[session])
        self._script.op("look", 2, session, {"websocket": self._said[session], "owners": []}, step=step)
        self._script.wait(self.looked_after_s)
        self._script.op("look", 2, session, {"websocket": said, "owners": []}, step=step)
        self._said[session] = said

    def moves(self) -> None:
        self.create("moving")
        for number, place in enumerate(self.places * 2):
            self.open("moving", place)
            self.look("moving", f"move {number}: arrived")
            self.close("moving", place)
            self.look("moving", f"move {number}: left")

    def kill(self, casts: list[tuple[str, ...]]) -> None:
        for number, cast in enumerate(casts):
            session = f"killed {number}"
            self.create(session)
            for place in cast:
                self.open(session, place)
            self._said[session] = self.named("before", list(cast), None)
        script = self._script
        script.note("fault", "inject", fault="pod kill")
        lost = {number: cast for number, cast in enumerate(casts) if "i-a" in cast and self.bites}
        for number in lost:
            self.close(f"killed {number}", "i-a")
        script.note("fault", "effect" if self.bites else "no effect", fault="pod kill", why="it lives")
        script.note("fault", "heal", fault="pod kill")
        script.wait(0.6)
        script.note("fault", "recovered" if self.recovers else "not recovered", fault="pod kill", why="never ready")
        script.wait(self.looked_after_kill_s)
        for number, cast in enumerate(casts if self.recovers else ()):
            session = f"killed {number}"
            left = [replica for _, replica in self._open[session]]
            said = self.killed(list(cast), left, self._said[session])
            script.op("look", 2, session, {"websocket": said, "owners": []}, step="killed")

    def tell(self) -> Script:
        for number, order in enumerate(ORDERS):
            session = f"s{number}"
            self.create(session)
            for verb, which in order:
                (self.open if verb == "open" else self.close)(session, self.places[which])
                self.look(session, f"order {number}: {verb} {which + 1}")
        self.moves()
        self.kill([("i-a",), ("i-b",), ("i-a", "i-b"), ("i-b", "i-a")])
        return self._script


class Tied(Story):
    """Streams that only the owner has, who is known by its owned set."""

    places = ("i-a", "i-a")

    def owners(self, session: str) -> list[str]:
        return ["i-b" if session == "killed 1" else "i-a"]

    def header(self, replica: str) -> str:
        return ""

    def moves(self) -> None:
        return

    def kill(self, casts: list[tuple[str, ...]]) -> None:
        super().kill([("i-a",), ("i-b",)])


def test_a_key_that_names_the_last_to_open_is_held(gadget: Contract) -> None:
    held(check(Story().tell().section(), gadget))


def test_a_key_that_names_the_first_to_open_is_held(gadget: Contract) -> None:
    class First(Story):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            kept = before if before in open_ else None
            return kept or next(iter(open_), None)

    held(check(First().tell().section(), gadget))


def test_streams_that_only_the_owner_has_are_held(guide: Contract) -> None:
    judgement = check(Tied().tell().section(), guide)
    assert part(judgement, "moves").missing
    held(judgement)


def test_a_key_that_does_not_name_the_owner_is_violated(guide: Contract) -> None:
    class Bug(Tied):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return "i-b" if open_ else None

    violated(check(Bug().tell().section(), guide), "orders")


def test_a_close_that_takes_the_key_of_another_watcher_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return None if "close" in step else super().named(step, open_, before)

    violated(check(Bug().tell().section(), gadget), "orders")


def test_a_close_that_takes_the_key_late_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return None if step == "order 4: open 2" else super().named(step, open_, before)

    violated(check(Bug().tell().section(), gadget), "orders")


def test_a_key_that_is_never_removed_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return open_[-1] if open_ else before

    violated(check(Bug().tell().section(), gadget), "orders", "moves", "kill")


def test_a_key_that_goes_on_naming_a_replica_whose_watcher_left_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            if step.startswith("order"):
                return (before or open_[-1]) if open_ else None
            return super().named(step, open_, before)

    violated(check(Bug().tell().section(), gadget), "orders")


def test_a_key_that_does_not_move_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return "i-a" if step.startswith("move") and open_ else super().named(step, open_, before)

    violated(check(Bug().tell().section(), gadget), "moves")


@pytest.mark.parametrize("watchers_left", [0, 1])
def test_the_key_of_a_dead_replica_that_stays_is_violated(gadget: Contract, watchers_left: int) -> None:
    class Bug(Story):
        def killed(self, open_: list[str], left: list[str], before: str | None) -> str | None:
            return "i-a" if "i-a" in open_ and len(left) == watchers_left else super().killed(open_, left, before)

    violated(check(Bug().tell().section(), gadget), "kill")


def test_a_kill_that_takes_the_key_of_the_survivor_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        def killed(self, open_: list[str], left: list[str], before: str | None) -> str | None:
            return None if before == "i-a" else super().killed(open_, left, before)

    violated(check(Bug().tell().section(), gadget), "kill")


def test_looks_that_came_too_early_blame_nobody(gadget: Contract) -> None:
    class Busy(Story):
        looked_after_s = 0.7
        looked_after_kill_s = 14.0

        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return before if "close" in step or "left" in step else super().named(step, open_, before)

        def killed(self, open_: list[str], left: list[str], before: str | None) -> str | None:
            return before

    unknown(check(Busy().tell().section(), gadget), "orders", "moves", "kill")


def test_without_an_instance_header_only_presence_is_judged(gadget: Contract) -> None:
    class Elsewhere(Story):
        def header(self, replica: str) -> str:
            return ""

        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return "i-c" if open_ else None

    class Bug(Elsewhere):
        def named(self, step: str, open_: list[str], before: str | None) -> str | None:
            return None

    silent = replace(gadget, http=replace(gadget.http, instance_header=None))
    held(check(Elsewhere().tell().section(), silent))
    violated(check(Bug().tell().section(), silent), "orders", "moves", "kill")


def test_a_watcher_that_was_refused_shows_nothing(gadget: Contract) -> None:
    class Refused(Story):
        refuses = "s1"

    unknown(check(Refused().tell().section(), gadget), "orders")


def test_moves_within_one_replica_are_unknown(gadget: Contract) -> None:
    class Narrow(Story):
        places = ("i-a", "i-a")

    unknown(check(Narrow().tell().section(), gadget), "moves")


def test_a_kill_that_did_not_bite_is_unknown(gadget: Contract) -> None:
    class Toothless(Story):
        bites = False

    judgement = check(Toothless().tell().section(), gadget)
    unknown(judgement, "kill")
    assert "it lives" in part(judgement, "kill").reason


def test_a_kill_that_took_no_socket_is_unknown(gadget: Contract) -> None:
    class Beside(Story):
        def kill(self, casts: list[tuple[str, ...]]) -> None:
            super().kill([("i-b",)])

    unknown(check(Beside().tell().section(), gadget), "kill")


def test_a_replica_that_does_not_come_back_is_violated(gadget: Contract) -> None:
    class Bug(Story):
        recovers = False

    violated(check(Bug().tell().section(), gadget), "kill")


def test_without_the_key_there_is_nothing_to_judge(bare: Contract) -> None:
    assert check(Story().tell().section(), bare).verdict is Verdict.UNKNOWN
