"""The scripts of lock and commit on a true Valkey, with the clock as an adversary.

Several holders enter the section of one session, command by command. Between any two commands the lock may expire,
answers may get lost, and a failover may take fence or epoch back to what they were. What must hold all the same is said
by a model beside the server. Each of the planted mistakes below is found by it.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pytest
from backend.service import TIMING
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace
from redis.asyncio import Redis

from reference_backend import keys, messages, scripts
from reference_backend.locks import Hold, Locks
from reference_backend.releases import Releases
from reference_backend.session import Session, rfc3339
from reference_backend.settings import Settings
from reference_backend.store import Change, Look, Store

OWN_DB = 2
ID = "5f0f1f5e-0000-4000-8000-000000000003"
LOCK, FENCE, EPOCH, RECORD = keys.lock(ID), keys.fence(ID), keys.epoch(ID), keys.session(ID)
OWNER = "5f0f1f5e-0000-4000-8000-00000000000a"
FAR_AHEAD = 9_007_199_254_740_993_000  # of the clock; with more digits than a script's numbers have
WHICH = st.integers(0, 2)
KINDS = st.sampled_from(("update", "hand over", "remove"))

T = TypeVar("T")
Kind = Literal["update", "hand over", "remove"]


@dataclass
class Holder:
    """One who enters the section, and what it knows."""

    token: str = ""  # that it asked with
    hold: Hold | None = None
    look: Look | None = None
    sent: Change | None = None  # its last commit

    @property
    def asks(self) -> bool:
        return self.hold is None


def one_of(holders: list[Holder], which: int) -> Holder:
    return holders[which % len(holders)]


class Section(RuleBasedStateMachine):
    """One session's lock and keys, and what they must be."""

    def __init__(self, redis: Redis, locks: Locks, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.redis, self.locks, self.store, self.loop = redis, locks, store, loop
        self.holders = [Holder() for _ in range(3)]
        self.token: str | None = None  # of who has the lock
        self.fence: int | None = None  # that the server has
        self.fences: list[int] = []  # handed out
        self.epochs: list[int] = []  # committed
        self.record: bytes | None = None
        self.committed: Change | None = None  # the last that was accepted
        self.made = False
        self.removed = False
        self.clock_is_behind = False
        self.tokens = 0

    def wait(self, answer: Awaitable[T]) -> T:
        return self.loop.run_until_complete(answer)

    @initialize(clock_is_behind=st.booleans(), made=st.booleans())
    def begin(self, *, clock_is_behind: bool, made: bool) -> None:
        self.wait(self.redis.flushdb())
        self.wait(self.redis.set(keys.heartbeat(OWNER), "1"))
        self.clock_is_behind = clock_is_behind
        if clock_is_behind:  # as after a failover to a server whose clock is slow
            self.wait(self.redis.set(FENCE, FAR_AHEAD, px=1_000_000))
            self.wait(self.redis.set(EPOCH, FAR_AHEAD))
            self.fence = FAR_AHEAD
            self.fences.append(FAR_AHEAD)
            self.epochs.append(FAR_AHEAD)
        if made:
            self.ask(0, answered=True)
            self.look(0)
            self.commit(0, "update")
            self.release(0)

    @precondition(lambda self: any(one.asks for one in self.holders))
    @rule(which=WHICH, answered=st.booleans())
    def ask(self, which: int, *, answered: bool) -> None:
        """For the lock, with a new token, or with that of a question whose answer was lost."""
        holder = one_of([one for one in self.holders if one.asks], which)
        if not holder.token:
            self.tokens += 1
            holder.token = f"token-{self.tokens}"
        hold = self.wait(self.locks._try(LOCK, FENCE, holder.token))
        if self.token not in (None, holder.token):
            assert hold is None, "granted while another holds it"
            holder.token = "" if answered else holder.token
            return
        assert hold is not None, "refused though it was free, or its own"
        assert hold.token == holder.token
        again = self.token == holder.token and self.fence is not None and self.fence == self.fences[-1]
        if not again:
            assert not self.fences or int(hold.fence) > max(self.fences), "the fence did not grow"
            self.fences.append(int(hold.fence))
        assert int(hold.fence) == self.fences[-1]
        self.token, self.fence = holder.token, int(hold.fence)
        holder.hold = hold if answered else None

    @precondition(lambda self: any(one.hold for one in self.holders))
    @rule(which=WHICH)
    def look(self, which: int) -> None:
        one_of([one for one in self.holders if one.hold], which).look = self.wait(self.store.look(ID))

    @precondition(lambda self: any(one.look for one in self.holders))
    @rule(which=WHICH, kind=KINDS)
    def commit(self, which: int, kind: Kind) -> None:
        holder = one_of([one for one in self.holders if one.look], which)
        assert holder.hold
        assert holder.look
        holder.sent = self.change(holder.look, kind)
        stored, holder.look = holder.look.stored, None
        if holder.sent:
            self.send(holder.hold, holder.sent, fits=(stored and stored.raw) == self.record)

    @precondition(lambda self: any(one.sent for one in self.holders))
    @rule(which=WHICH)
    def commit_again(self, which: int) -> None:
        """Its answer was lost."""
        holder = one_of([one for one in self.holders if one.sent], which)
        assert holder.hold
        assert holder.sent
        self.send(holder.hold, holder.sent, fits=True)

    @precondition(lambda self: any(one.token for one in self.holders))
    @rule(which=WHICH)
    def release(self, which: int) -> None:
        holder = one_of([one for one in self.holders if one.token], which)
        mine = self.token == holder.token
        before = {} if mine else self.everything()
        self.wait(self.locks._release(LOCK, holder.token))
        if mine:
            self.token = None
        else:
            assert self.everything() == before, "one who did not hold it released it"
        self.holders[self.holders.index(holder)] = Holder()

    @precondition(lambda self: self.token is not None)
    @rule()
    def expire(self) -> None:
        self.wait(self.redis.pexpire(LOCK, 0))
        self.token = None

    @precondition(lambda self: not self.clock_is_behind)  # what is lost then cannot be known by anybody
    @rule()
    def lose_fence(self) -> None:
        self.wait(self.redis.delete(FENCE))
        self.fence = None

    @precondition(lambda self: len(self.fences) > 1 and not self.clock_is_behind)
    @rule(back=st.integers(1, 3))
    def fail_over(self, back: int) -> None:
        """To a server that has not heard of the last acquisitions, nor of the epochs that were made under them."""
        self.wait(self.redis.delete(LOCK, EPOCH))
        self.token, self.fence = None, self.fences[: -min(back, len(self.fences) - 1)][-1]
        self.wait(self.redis.set(FENCE, self.fence, px=1_000_000))
        if self.epochs[:-1]:
            self.wait(self.redis.set(EPOCH, self.epochs[-2]))

    @invariant()
    def server_and_model_agree(self) -> None:
        async def seen() -> list[Any]:
            async with self.redis.pipeline() as pipe:
                for name in (LOCK, FENCE):
                    pipe.get(name)
                    pipe.pttl(name)
                pipe.get(RECORD)
                pipe.sismember(keys.ACTIVE, ID)
                answers: list[Any] = await pipe.execute()
                return answers

        token, lock_ttl_ms, fence, fence_ttl_ms, record, active = self.wait(seen())
        assert token == (self.token and self.token.encode())
        assert token is None or lock_ttl_ms > 0, "a lock that does not expire"
        assert fence == (None if self.fence is None else str(self.fence).encode())
        assert fence is None or fence_ttl_ms > 0
        assert record == self.record
        assert bool(active) == (record is not None)
        assert not (self.removed and record), "the removed session is back"

    def send(self, hold: Hold, change: Change, *, fits: bool) -> None:
        """A commit, whose outcome and effect must be what the model says."""
        may = fits and self.token == hold.token and self.fence == int(hold.fence)
        again = change is self.committed
        before = self.everything() if again or not may else {}
        outcome = self.wait(self.store.commit(hold, change))
        if not may:
            assert outcome != "ok", "a commit was accepted from one who did not hold the lock"
            assert self.everything() == before, "a refused commit left something"
            return
        assert outcome == "ok"
        assert int(hold.fence) == max(self.fences), "a commit was accepted after a larger fence was handed out"
        if again:
            assert self.everything() == before, "it was done twice"
            return
        self.committed = change
        record: Any = self.wait(self.redis.get(RECORD))
        self.record = record
        self.made = True
        self.removed = change.after is None
        if change.epoch is not None:
            assert not self.epochs or change.epoch > max(self.epochs), "the epoch did not grow"
            self.epochs.append(change.epoch)

    def change(self, look: Look, kind: Kind) -> Change | None:
        """What one does who has seen this; nobody makes a session twice."""
        if look.stored is None:
            if self.made:
                return None
            made = new_session(look.next_epoch)
            return Change(ID, OWNER, None, made, epoch=made.epoch, stream="01S", due_s=time.time() + 60)
        now, raw = look.stored.session, look.stored.raw
        if kind == "update":
            return Change(ID, OWNER, raw, replace(now, revision=now.revision + 1))
        if kind == "hand over":
            after = replace(now, revision=now.revision + 1, epoch=look.next_epoch, status="orphaned")
            return Change(ID, OWNER, raw, after, epoch=look.next_epoch)
        end = messages.session_ended(ID, rfc3339(time.time()), "stopped")
        return Change(ID, OWNER, raw, None, epoch=look.next_epoch, end=end, keep=True)

    def everything(self) -> dict[bytes, bytes]:
        """All keys and what is in them."""

        async def seen() -> dict[bytes, bytes]:
            names: list[Any] = sorted(await self.redis.keys())
            async with self.redis.pipeline() as pipe:
                for name in names:
                    pipe.dump(name)
                return dict(zip(names, await pipe.execute(), strict=True))

        return self.wait(seen())


def new_session(epoch: int) -> Session:
    return Session(
        id=ID,
        type="trace_tcp",
        namespace="demo",
        podName="",
        containerName="",
        labels={},
        status="running",
        startTime=rfc3339(time.time()),
        timeout=10**12,
        owner=OWNER,
        epoch=epoch,
        revision=1,
        source="synthetic",
        rate=1.0,
        size=0,
        parameters={},
    )


@pytest.fixture
def new_section(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Section]]:
    """Makes the machine; its lock expires when the machine says so, and not before."""
    for name, value in (TIMING | {"lock_ttl_s": 1000.0}).items():
        monkeypatch.setenv(f"BACKEND_{name.upper()}", str(value))
    loop = asyncio.new_event_loop()
    client = Redis(port=redis.connection_pool.connection_kwargs["port"], db=OWN_DB)
    timing = Settings()

    class Bound(Section):
        def __init__(self) -> None:
            super().__init__(client, Locks(client, Releases(client), timing), Store(client, timing), loop)

    yield Bound
    loop.run_until_complete(client.aclose())
    loop.close()


def test_no_order_of_commands_and_expiries_lets_a_late_holder_in(new_section: type[Section]) -> None:
    run_state_machine_as_test(
        new_section,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


MISTAKES = {
    "granted while it is held": ("ACQUIRE", "'NX', 'PX', ARGV[2]", "'PX', ARGV[2]"),
    "lock without a time to live": ("ACQUIRE", "'NX', 'PX', ARGV[2]", "'NX'"),
    "fence without a time to live": ("ACQUIRE", "fence, 'PX', ARGV[3]", "fence"),
    "fence counted up alone": ("ACQUIRE", "if last and not less(last, fence) then", "if last then"),
    "fence of the clock alone": ("ACQUIRE", "if last and not less(last, fence) then", "if false then"),
    "fence in numbers of the script": (
        "ACQUIRE",
        "fence = successor(last)",
        "fence = string.format('%.0f', tonumber(last) + 1)",
    ),
    "new fence for one who asks again": ("ACQUIRE", "if mine then", "if false then"),
    "release without comparing": ("RELEASE", "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end", ""),
    "release that forgets to": ("RELEASE", "redis.call('DEL', KEYS[1])", ""),
    "commit without the lock": ("COMMIT", "redis.call('GET', lock) ~= token or ", ""),
    "commit without lock and fence": (
        "COMMIT",
        "if redis.call('GET', lock) ~= token or redis.call('GET', fence) ~= my_fence then return 'lost' end",
        "",
    ),
    "commit without the fence": ("COMMIT", " or redis.call('GET', fence) ~= my_fence", ""),
    "refused commit that leaves something": ("COMMIT", "return 'lost'", "redis.call('SADD', active, id) return 'lost'"),
    "commit that does it twice": ("COMMIT", "if current == record then return 'ok' end", ""),
    "removal that leaves the index": (
        "COMMIT",
        "  redis.call('SREM', active, id)\n  redis.call('ZREM'",
        "  redis.call('ZREM'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_script_is_found(
    new_section: type[Section], monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    name, right, wrong = MISTAKES[mistake]
    body = getattr(scripts, name).body
    assert body.count(right) == 1
    monkeypatch.setattr(scripts, name, scripts.Script(body.replace(right, wrong)))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            new_section,
            settings=settings(
                max_examples=500,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
