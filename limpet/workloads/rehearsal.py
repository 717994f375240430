"""What a backend does in Redis, seen while it does it: from MONITOR alone, each replica known by its address.

From one quiet change one learns which command takes the lock and which makes the change, so that the same change of
another session can be held up at the right moment, whatever the backend is made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from limpet.checkers.redis_commands import Command, write
from limpet.clients.monitor import parse
from limpet.clients.redis_join import join


@dataclass(frozen=True, slots=True)
class Steps:
    """Places among the commands of one replica that name the keys of one session, from 1.

    Attributes:
        source: the address of that replica, as the server sees it.
        acquire: the one that takes the lock.
        commit: the first one after that which changes the record; the one after `acquire` if nothing does.
    """

    source: str
    acquire: int
    commit: int


def commands(lines: Sequence[bytes]) -> list[Command]:
    """What these lines of MONITOR say, as a checker would read it; `pod` is the address of the replica."""
    found: list[Command] = []
    pods: dict[int, str] = {}
    for one in join(parse(list(lines)), (), from_ns=0, until_ns=0)[0]:
        seen = one.seen
        called = one.script >= 0
        pod = pods.setdefault(one.script if called else seen.order, seen.address.rpartition(":")[0])
        found.append(
            Command(
                no=seen.order + 1,
                name=seen.name,
                args=tuple(word.decode(errors="replace") for word in seen.words[1:]),
                pod=pod,
                source=seen.address,
                unit=one.unit,
                at_us=seen.at_us,
                known=False,
                delivered=False,
                called=called,
                in_multi=False,
                reply=None,
            )
        )
    return found


def steps(lines: Sequence[bytes], lock: str, others: Sequence[str]) -> Steps | None:
    """The steps of the first replica that takes `lock` in these lines of MONITOR.

    `others` are further keys of the session, its record first. None when nobody takes the lock.
    """
    all_ = commands(lines)
    source = next((one.pod for one in all_ if _kind(one, lock) == "set"), None)
    if source is None:
        return None
    keys = {lock, *others}
    acquire = commit = place = 0
    for one in all_:
        if one.pod != source:
            continue
        if not one.called and not keys.isdisjoint(one.args):
            place += 1
        if not acquire and _kind(one, lock) == "set":
            acquire = place
        elif acquire and others and _kind(one, others[0]) in ("set", "drop", "count", "other"):
            commit = place
            break
    return Steps(source, acquire, max(commit, acquire + 1))


def _kind(command: Command, key: str) -> str:
    effect = write(command, key)
    return effect.kind if effect else ""
