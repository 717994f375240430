"""`locking`: one holder at a time, who alone releases; every lock expires; none leaks; a stale holder cannot write.

Judged from the Redis trace, in which every command stands in the order in which the server carried it out. A change
that is compared with what was there (a script that read the session, WATCH) needs no lock where the contract has no
fence: it cannot overwrite what it did not see. With a fence the contract wants the lock for every change.
"""

from collections.abc import Iterable

from limpet.checkers.exclusion import Change, Story, replay
from limpet.checkers.lock_leaks import ACQUISITIONS, disturbed, none_leaks
from limpet.checkers.lock_replay import UNKNOWN, Hold, who
from limpet.checkers.parts import PartBuilder
from limpet.checkers.redis_commands import commands, smaller
from limpet.contract import Contract
from limpet.history import Section
from limpet.verdict import Judgement, Part

CONTENDED = 50
CHANGES = 50
OVERTAKEN = 1
TTL_SLACK_S = 1.0
PAUSED = "hold then pause"  # the fault that stops a holder beyond the TTL of its lock


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `locking` from the joined Redis trace."""
    if contract.redis.lock is None:
        missing = Part("one holder", missing="redis.lock is not in the contract")
        return Judgement(section.guarantee, (missing,))
    fresh = any(line.data.get("fresh") for _, line in section.of("target"))
    unlocked = next((op.done.value == {} for op in section.ops("locks") if op.type == "ok" and op.done), False)
    story = replay(list(commands(section)), contract.redis, fresh=fresh, unlocked=unlocked)
    traced = [line for _, line in section.of("trace")]
    doubt = _doubt(traced[-1].data.get("lost", "") if traced else "Redis was not traced", story)
    parts = (
        _one_holder(section, story),
        _releases(section, contract, story),
        _expires(section, contract, story),
        _tokens(section, story),
        _fences(section, contract, story),
        _stale(section, contract, story),
        _unlocked(section, contract, story),
        none_leaks(section, story),
    )
    releases, stale = parts[1], parts[5]
    releases.doubt = stale.doubt = _not_overtaken(section)
    for part in parts:
        part.doubt = "" if part.missing else part.doubt or doubt
    holds = [hold for hold in story.holds if hold.certain]
    evidence = {
        "acquisitions": len(holds),
        "contended": sum(hold.contended for hold in holds),
        "changes": len(story.changes),
        "overtaken": sum(hold.returned for hold in holds),
        "doubtful": len(story.holds) - len(holds),
        "commands": sum(1 for _ in section.of("redis")),
    }
    ttl_s = contract.timing.lock_ttl_s
    budget = f"{ACQUISITIONS} acquisitions, {CONTENDED} contended" + (f", TTL {ttl_s:g} s" if ttl_s else "")
    return Judgement(section.guarantee, tuple(part.done() for part in parts), evidence=evidence, budget=budget)


def _doubt(lost: str, story: Story) -> str:
    if lost:
        return f"the Redis trace is not whole: {lost}"
    if story.puzzles:
        no, what = story.puzzles[0]
        return f"{len(story.puzzles)} commands on locks could not be followed, first line {no}: {what}"
    return ""


def _not_overtaken(section: Section) -> str:
    """Why no holder was seen to be overtaken, where that was tried; "" where it succeeded once."""
    tries = [line for _, line in section.of("fault") if line.data.get("fault") == PAUSED]
    if not tries or any(line.op == "effect" for line in tries):
        return ""
    why = next((str(line.data["why"]) for line in reversed(tries) if "not" in line.op or line.op == "no effect"), "")
    return f"no holder was kept standing beyond the TTL of its lock: {why}"


def _one_holder(section: Section, story: Story) -> PartBuilder:
    """Nobody acquires a lock that somebody holds."""
    part = PartBuilder(section, "one holder", "contended acquisitions", CONTENDED)
    part.had = sum(hold.contended for hold in story.holds if hold.certain)
    for one in story.intrusions:
        if one.what == "overwrote":
            part.find(
                f"{one.pod} took the lock of {one.hold.session} while {who(one.hold)} held it",
                expected="refused while it is held",
                lines=(one.hold.no, one.no),
            )
    return part


def _releases(section: Section, contract: Contract, story: Story) -> PartBuilder:
    """Nobody releases or prolongs a lock that is not his; a holder that was overtaken least of all."""
    part = PartBuilder(section, "only the holder releases", "overtaken holders that went on meanwhile", OVERTAKEN)
    if contract.timing.lock_ttl_s is None:
        part.missing = "timing.lock_ttl_s is not in the contract"
    part.had = sum(hold.met for hold in story.holds)
    for one in story.intrusions:
        if one.what != "overwrote":
            part.missing = ""
            part.find(
                f"{one.pod} {one.what} the lock of {one.hold.session}, which was {who(one.hold)}'s",
                expected="left alone by all but its holder",
                lines=(one.hold.no, one.no),
            )
    return part


def _expires(section: Section, contract: Contract, story: Story) -> PartBuilder:
    """Every acquisition gives the lock the life that the contract says, in the same step."""
    part = PartBuilder(section, "every lock expires", "acquisitions", ACQUISITIONS)
    ttl_s = contract.timing.lock_ttl_s
    for hold in story.holds:
        part.had += hold.certain
        expected = f"{ttl_s:g} s" if ttl_s else "a time to live"
        if hold.ttl_ms is None:
            part.find(
                f"{hold.pod} acquired the lock of {hold.session} without a time to live in the same step",
                expected=expected,
                lines=(hold.no,),
            )
        elif ttl_s and not ttl_s / 2 <= hold.ttl_ms / 1000 <= ttl_s + TTL_SLACK_S:
            part.find(
                f"{hold.pod} acquired the lock of {hold.session} for {hold.ttl_ms / 1000:g} s",
                expected=f"{expected}, as timing.lock_ttl_s says",
                lines=(hold.no,),
            )
    for no, hold in story.permanent:
        part.find(f"the lock of {hold.session} was made to live for ever", expected="a time to live", lines=(no,))
    return part


def _tokens(section: Section, story: Story) -> PartBuilder:
    """No two acquisitions of a lock have the same token.

    A command that a client sent again, since its answer was lost, has: it counts when the pod was told both times. One
    that was stopped may have been told without having read it; it sends again when it goes on.
    """
    part = PartBuilder(section, "token unique", "acquisitions", ACQUISITIONS)
    held_up = disturbed(section)
    seen: dict[tuple[str, str], Hold] = {}
    for hold in story.holds:
        part.had += hold.certain
        before = seen.setdefault((hold.session, hold.token), hold)
        unread = before.end == "expired" and not before.used and held_up(hold.pod, section.lines[hold.no - 1].t)
        told = before.answered and hold.answered and not unread
        if before is not hold and before.certain and hold.certain and (told or before.pod != hold.pod):
            part.find(
                f"{hold.pod} acquired the lock of {hold.session} with the token {hold.token!r}, which it had before",
                expected="a new token each time",
                lines=(before.no, hold.no),
            )
    return part


def _fences(section: Section, contract: Contract, story: Story) -> PartBuilder:
    """Every acquisition takes a larger fence."""
    part = PartBuilder(section, "fence grows", "acquisitions", ACQUISITIONS)
    if contract.redis.fence is None:
        part.missing = "redis.fence is not in the contract"
        return part
    last: dict[str, Hold] = {}
    for hold in story.holds:
        if not hold.certain:
            continue
        part.had += 1
        if not hold.fence and (hold.used or (hold.answered and hold.end == "released")):
            part.find(f"{who(hold)} took no fence for {hold.session}", expected="a larger one", lines=(hold.no,))
        if not hold.fence or hold.fence == UNKNOWN:
            continue
        before = last.get(hold.session)
        if not hold.fence.isdecimal():
            part.find(
                f"the fence of {hold.session} is {hold.fence!r}", expected="a whole number", lines=(hold.fence_no,)
            )
        elif before and not smaller(before.fence, hold.fence):
            part.find(
                f"{who(hold)} got the fence {hold.fence} for {hold.session} after {before.fence} was handed out",
                expected="a larger one",
                lines=(before.fence_no, hold.fence_no),
            )
        last[hold.session] = hold
    return part


def _stale(section: Section, contract: Contract, story: Story) -> PartBuilder:
    """Nothing is changed under an acquisition after which a larger fence was handed out."""
    part = PartBuilder(section, "stale holder cannot write", "overtaken holders that went on", OVERTAKEN)
    if contract.redis.fence is None or contract.redis.session is None:
        absent = "redis.fence" if contract.redis.fence is None else "redis.session"
        part.missing = f"{absent} is not in the contract"
        return part
    part.had = sum(hold.returned for hold in story.holds)
    for change, acting, later in _stale_changes(story.changes):
        part.find(
            f"{change.pod} changed {change.session} with fence {acting.fence or 'none'}, after fence "
            f"{later.fence or 'none'} was handed to {later.pod}",
            expected="refused",
            lines=(acting.no, later.no, change.no),
        )
    return part


def _stale_changes(changes: Iterable[Change]) -> Iterable[tuple[Change, Hold, Hold]]:
    for change in changes:
        if not change.rightful and change.acting and change.later:
            yield change, change.acting, change.later


def _unlocked(section: Section, contract: Contract, story: Story) -> PartBuilder:
    """Nothing is changed by who never had the lock, or had released it."""
    part = PartBuilder(section, "changes under the lock", "changes", CHANGES)
    if contract.redis.session is None:
        part.missing = "redis.session is not in the contract"
        return part
    fenced = contract.redis.fence is not None
    part.had = sum(not change.first for change in story.changes)
    never = "" if story.holds else f"; nobody ever acquired {contract.redis.lock}"
    for change in story.changes:
        if change.rightful or change.first or change.acting or (change.compared and not fenced):
            continue
        part.find(
            f"{change.pod} changed {change.session} without its lock{never}",
            expected="acquired before",
            lines=(change.no,),
        )
    return part
