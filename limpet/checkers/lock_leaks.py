"""Locks that are left behind: not released by their holders, or still there when nobody works any more."""

from collections.abc import Callable

from limpet.checkers.exclusion import Story
from limpet.checkers.lock_replay import who
from limpet.checkers.parts import PartBuilder
from limpet.history import Section

ACQUISITIONS = 200
LEFT_SLACK_S = 2.0  # beyond the TTL, for a lock to be gone when nobody works any more
AFTERMATH_S = 2.0  # what came late through a link that was disturbed may still acquire a lock that nobody waits for
NS_PER_S = 1_000_000_000


def none_leaks(section: Section, story: Story) -> PartBuilder:
    """Every acquisition is released by its holder, unless that one was held up; in the end no lock is left."""
    part = PartBuilder(section, "none leaks", "acquisitions", ACQUISITIONS)
    was_disturbed = disturbed(section)
    for hold in story.holds:
        part.had += hold.certain and hold.end == "released"
        t = section.lines[hold.no - 1].t
        if hold.certain and hold.end == "expired" and not was_disturbed(hold.pod, t):
            part.find(
                f"{who(hold)} never released the lock of {hold.session}, which nothing held up",
                expected="released when it was done with",
                lines=(hold.no,),
            )
    looks = [op for op in section.ops("locks") if op.type == "ok" and op.done]
    if not looks:
        part.doubt = "nobody looked for locks at the end"
    left: dict[str, int] = looks[-1].done.value or {} if looks and looks[-1].done else {}
    for key, ttl_ms in left.items():
        life = "without a time to live" if ttl_ms < 0 else f"with {ttl_ms / 1000:.1f} s to live"
        part.find(
            f"{key} was still there, {life}, when nobody had worked for longer than its TTL",
            expected="gone",
            lines=(looks[-1].done_no,),
        )
    return part


def disturbed(section: Section) -> Callable[[str, int], bool]:
    """Tells whether a pod was held up at a moment, or shortly before: stopped, or its link to Redis disturbed."""
    spans: list[tuple[str, int, int]] = []
    since: dict[tuple[str, str], int] = {}
    for _, line in section.of("link", "pause"):
        pod = str(line.data.get("pod"))
        if line.op not in ("pass", "end"):
            since.setdefault((line.type, pod), line.t)
        elif (line.type, pod) in since:
            spans.append((pod, since.pop((line.type, pod)), line.t + int(AFTERMATH_S * NS_PER_S)))
    spans += [(pod, t, section.lines[-1].t) for (_, pod), t in since.items()]
    return lambda pod, t: any(name == pod and begin <= t <= end for name, begin, end in spans)
