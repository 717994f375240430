"""The part of `locking` that is shown by drawn interleavings (limpet/checkers/interleavings.py)."""

from limpet.checkers.interleavings import SCHEDULES, judge, numbered
from limpet.races.explore import explore
from limpet.races.play import Player, calls_of, unsupported
from limpet.workloads.stack import Stack

DRAW_S_MAX = 120.0  # about eight times what it takes; a backend that leaves its locks behind would take for ever
SHRINK_S = 5.0


async def draw_interleavings(stack: Stack) -> None:
    """Play as many schedules as are enough, or until one goes wrong, and then a few simpler ones."""
    why = unsupported(stack)
    if why:
        stack.history.note("schedule", "unsupported", why=why)
        return
    async with Player(stack) as player:
        await explore(
            player.play,
            lambda played: judge(numbered(played.lines), stack.contract),
            lanes=player.lanes,
            ops=calls_of(stack.contract),
            seed=stack.random.getrandbits(32),
            schedules=SCHEDULES,
            within_s=DRAW_S_MAX,
            shrink_s=SHRINK_S,
        )
