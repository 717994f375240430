"""Histories of owners that are killed: three replicas, the sessions that they own, and all that they do in Redis."""

from typing import Any

from checkers.endurance_story import Counted
from checkers.script import MS, Script

from limpet.history import Line

REPLICAS = ("i-a", "i-b", "i-c")
POD = {"i-a": "backend-1", "i-b": "backend-2", "i-c": "backend-3"}
FIRST_EPOCH = 1_700_000_000_000_000


class Owned(Counted):
    """A session with one watcher and an owner."""

    def __init__(self, story: "Story", name: str, watcher: int, owner: str) -> None:
        self.story = story
        self.owner = owner
        self.epoch = story.next_epoch()
        super().__init__(story.script, name, [watcher])
        story.unit(owner, "commit", f"SADD backend:{owner}:sessions {name}", f"SET epoch:{name} {self.epoch}")

    @property
    def name(self) -> str:
        return self.session.name

    def tick(self) -> None:
        if self.observed:
            self.append(self.owner, self.seq + 1, self.epoch)
        super().tick()

    def append(self, by: str, seq: int, epoch: int, *, source: str = "") -> int:
        """One entry of the stream."""
        xadd = f"XADD events:{self.name} MAXLEN ~ 10000 {seq}-0 epoch {epoch} message m"
        head = f"epoch:{self.name} events:{self.name}"
        return self.story.unit(by, head, f"GET epoch:{self.name}", xadd, source=source)

    def pass_to(self, owner: str, *, raised: bool = True, removed: bool = True) -> None:
        """Another replica takes it over, and says so in the stream."""
        former, self.owner = self.owner, owner
        self.epoch = self.story.next_epoch() if raised else self.epoch
        calls = [f"SREM backend:{former}:sessions {self.name}"] if removed else []
        calls += [f"SADD backend:{owner}:sessions {self.name}"]
        calls += [f"SET epoch:{self.name} {self.epoch}"] if raised else []
        calls += [f"XADD events:{self.name} {self.seq + 1}-0 epoch {self.epoch} message m"]
        self.story.unit(owner, f"commit epoch:{self.name} events:{self.name}", *calls)
        self.announce()

    def remove(self) -> None:
        """Its delete is carried out: nobody owns it any more."""
        self.observed = False
        calls = (f"SREM backend:{self.owner}:sessions {self.name}", f"SET epoch:{self.name} {self.story.next_epoch()}")
        end = f"XADD events:{self.name} {self.seq + 1}-0 epoch {self.story.epochs} message m"
        self.story.unit("i-b", f"commit epoch:{self.name} events:{self.name}", *calls, end)


class Story:
    """Three kills; at the first and the last some sessions are deleted, at the second an append comes late."""

    sessions = 36
    kills = 3
    doomed = 5
    ticks = 12
    takes_s = 0.05
    late = True

    def tell(self) -> Script:
        self.script = Script("takeover")
        self.script.note("target", "local", replicas=2, fresh=True)
        self.traced: list[Line] = []
        self.order = 0
        self.epochs = FIRST_EPOCH
        self.cast = [Owned(self, f"s{n}", 1000 + n, REPLICAS[n % 3]) for n in range(self.sessions)]
        self.pass_(self.ticks)
        for number in range(self.kills):
            self.kill(number)
        self.look("later")
        for place, instance in enumerate(REPLICAS):
            self.script.op("list", 900 + place, "", [one.name for one in self.cast], pod=instance)
        for one in self.cast:
            one.session.leaves(one.watchers[0])
        self.write_trace()
        return self.script

    def next_epoch(self) -> int:
        self.epochs += 1
        return self.epochs

    def unit(self, instance: str, head: str, *calls: str, source: str = "") -> int:
        """A script and what it calls; its place in the trace."""
        place = self.order + 1
        pod = POD.get(instance, instance)
        for command, called in ((f"EVALSHA sha 2 {head}", False), *((call, True) for call in calls)):
            self.order += 1
            name, *args = command.split()
            data: dict[str, Any] = {"args": args, "order": self.order, "unit": place, "at_us": self.script._t // 1000}
            data |= {"from": "lua", "outcome": "called", "script": place} if called else {
                "from": source or f"{pod}:5000", "outcome": "replied", "reply": "ok"}  # fmt: skip
            self.traced.append(Line(self.script._t, "redis", name, pod=pod, data=data))
        return place

    def write_trace(self, lost: str = "") -> None:
        self.script._lines += self.traced
        self.script.note("trace", lost=lost, links=True)

    def pass_(self, ticks: int) -> None:
        for _ in range(ticks):
            began_s = self.script.now_s
            for one in self.cast:
                one.tick()
            self.script.wait(max(0.0, 0.1 - (self.script.now_s - began_s)))

    def kill(self, number: int) -> None:
        victim = REPLICAS[number % 3]
        survivors = [one for one in REPLICAS if one != victim]
        theirs = [one for one in self.cast if one.owner == victim]
        late = self.late and number == 1
        doomed = [] if late else theirs[: self.doomed]
        orphans = [one for one in theirs if one not in doomed]
        self.script.op("owners", 800, "", self.owners(), step="before")
        self.script.note(
            "orphaned",
            victim,
            pod=POD[victim],
            sessions=[one.name for one in theirs],
            doomed=[one.name for one in doomed],
            survivors=survivors,
        )
        self.script.note("fault", "inject", fault="pod kill")
        self.script.note("pod", "exited", name=POD[victim])
        for one in theirs:
            one.observed = False
        for one in doomed:
            self.delete(one)
        ticks = int(10 * self.takes_s)
        self.pass_(ticks)
        self.script.wait(self.takes_s - ticks / 10)
        self.adopt(orphans, survivors)
        if late:
            self.come_late(victim, orphans[0])
        for phase in ("effect", "heal", "recovered"):
            self.script.note("fault", phase, fault="pod kill")
        self.pass_(self.ticks)
        self.look("after")

    def adopt(self, orphans: list[Owned], survivors: list[str]) -> None:
        for place, one in enumerate(orphans):
            one.pass_to(survivors[place % len(survivors)])

    def delete(self, one: Owned) -> None:
        self.script.add("invoke", "delete", 700, one.name)
        one.remove()
        self.script.add("ok", "delete", 700, one.name, status=204)
        self.cast.remove(one)

    def come_late(self, victim: str, one: Owned) -> None:
        """What it appended last is refused."""
        self.unit(victim, f"epoch:{one.name} events:{one.name}", f"GET epoch:{one.name}")

    def look(self, step: str) -> None:
        self.script.op("owners", 800, "", self.owners(), step=step)
        self.script.op("instances", 801, "", self.instances())

    def owners(self) -> dict[str, list[str]]:
        return {i: [one.name for one in self.cast if one.owner == i] for i in REPLICAS}

    def instances(self) -> list[dict[str, Any]]:
        return [
            {"instance": i, "gadgets": [{"sessionId": one.name} for one in self.cast if one.owner == i]}
            for i in REPLICAS
        ]


def at_s(seconds: float) -> int:
    """A moment as lines have it."""
    return int(seconds * 1000) * MS
