"""Walks through all causes, as the manual guide's troubleshooting does, and says what was found and what was not seen.

What a sound system may show for a moment, such as an owner that died just now, counts only if a second look shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from limpet.clock import sleep
from limpet.doctor import (
    clock_skew,
    cookie_ignored,
    cookie_lost,
    cookie_missing,
    dead_owner,
    eviction,
    expiring,
    heartbeat_stuck,
    ingress_down,
    key_name,
    lost_record,
    no_append_only,
    redis_unreachable,
    stream_elsewhere,
    stuck_lock,
)
from limpet.doctor.base import Cause, Examination, Seen, UnseenError
from limpet.doctor.gather import again, gather
from limpet.status.place import Place

EXAMINATIONS: Sequence[Examination] = tuple(
    module.EXAMINATION
    for module in (
        ingress_down,
        cookie_missing,
        cookie_lost,
        cookie_ignored,
        stream_elsewhere,
        redis_unreachable,
        no_append_only,
        eviction,
        expiring,
        lost_record,
        key_name,
        dead_owner,
        heartbeat_stuck,
        clock_skew,
        stuck_lock,
    )
)
SECOND_LOOK_S = 1.5  # at the least: locks, takeovers and creates are over by then


@dataclass(frozen=True, slots=True)
class Report:
    """What a walk found.

    Attributes:
        causes: in the order of the examinations.
        sound: names of the examinations that found nothing.
        unseen: name -> why it could not be looked for.
    """

    causes: tuple[Cause, ...]
    sound: tuple[str, ...]
    unseen: dict[str, str]


async def walk(place: Place, *, try_session: bool = False) -> Report:
    """Look at a running system and name what is wrong with it.

    Args:
        place: where it stands.
        try_session: whether to start a few sessions, watch and stop them, which shows more.

    Raises:
        LimpetError: nothing of the system answers.
    """
    seen = await gather(place, try_session=try_session)
    first = examine(seen)
    if not any(_passing(cause) for cause in first.causes):
        return first
    scan_s = place.contract.timing.takeover_scan_s or 0.0
    await sleep(max(SECOND_LOOK_S, 2 * scan_s))
    return confirmed(first, examine(await again(seen)))


def examine(seen: Seen) -> Report:
    """Look for every cause in what was seen."""
    causes: list[Cause] = []
    sound: list[str] = []
    unseen: dict[str, str] = {}
    for examination in EXAMINATIONS:
        try:
            found = list(examination.look(seen))
        except UnseenError as why:
            unseen[examination.name] = str(why)
            continue
        causes += found
        sound += [] if found else [examination.name]
    return Report(tuple(causes), tuple(sound), unseen)


def confirmed(first: Report, second: Report) -> Report:
    """The second report, without what may pass and what the first one had not found of the same subjects."""
    causes = tuple(
        cause
        for cause in second.causes
        if not _passing(cause) or any(cause.name == was.name and cause.about & was.about for was in first.causes)
    )
    found = {cause.name for cause in causes}
    names = [examination.name for examination in EXAMINATIONS]
    sound = tuple(name for name in names if name not in found and name not in second.unseen)
    return Report(causes, sound, second.unseen)


def symptom(cause: Cause) -> str:
    """What users notice of a cause."""
    return next(examination.symptom for examination in EXAMINATIONS if examination.name == cause.name)


def _passing(cause: Cause) -> bool:
    return next(examination.passing for examination in EXAMINATIONS if examination.name == cause.name)
