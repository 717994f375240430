"""Replaying a short trace: all that it tells of locks is written down (checkers/written.py)."""

import json
from dataclasses import asdict
from typing import Any

from checkers import written
from checkers.redis_story import START_US, TTL_MS, A, B, RedisStory

from limpet.checkers.exclusion import Story, replay
from limpet.checkers.lock_replay import Hold
from limpet.checkers.locking import check
from limpet.checkers.redis_commands import commands
from limpet.contract import Contract
from limpet.history import Section
from limpet.verdict import Judgement, Verdict

LOCK = f"SET lock:session:s %s NX PX {TTL_MS}"


def told(one: RedisStory, contract: Contract, *, fresh: bool = True, unlocked: bool = False) -> Story:
    story = replay(list(commands(one.section())), contract.redis, fresh=fresh, unlocked=unlocked)
    said = {name: _without_nothing(list(ones)) for name, ones in asdict(story).items()}
    written.same(json.loads(json.dumps(said, default=str)))
    return story


def _without_nothing(said: Any) -> Any:
    """Without what says nothing, times from the start."""
    if isinstance(said, dict):
        moments = {
            key: value - START_US if key in ("at_us", "until_us") and value else value for key, value in said.items()
        }
        return {key: _without_nothing(value) for key, value in moments.items() if value not in ("", False, 0)}
    if isinstance(said, list | tuple):
        return [_without_nothing(one) for one in said]
    return said


def held_up() -> RedisStory:
    """A was held up until B had the lock."""
    one = RedisStory()
    one.hold_up()
    return one


def the(story: Story, token: str) -> Hold:
    return next(hold for hold in story.holds if hold.token == token)


def ends(story: Story) -> dict[str, str]:
    return {hold.token: hold.end for hold in story.holds}


def found(section: Section, contract: Contract, *names: str) -> Judgement:
    """In these parts something is found, and in no other."""
    judgement = check(section, contract)
    assert judgement.guarantee == section.guarantee
    assert [part.name for part in judgement.parts if part.verdict is Verdict.VIOLATED] == list(names)
    written.as_written(judgement)
    return judgement


def sections(number: int = 2) -> RedisStory:
    """Short ones, one after the other."""
    one = RedisStory()
    for turn in range(number):
        one.section_of(A, "s", f"token-{turn}", str(turn), rival=B if turn % 2 else "")
    return one
