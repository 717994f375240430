"""Bugs of a replica that is asked to stop."""

from planted.base import plant
from planted.patching import edit
from reference_backend.replica import Replica


@plant(caught_by="scaling", unrelated="shared-view", also=("restart-persistence",))
def scale_down_loses_sessions() -> None:
    """A replica that is asked to stop deletes the sessions that it owns.

    Whoever deletes or rolls out a pod loses them as well.
    """
    edit(
        Replica,
        "_leave",
        "await self.ownership.leave(grace_s * GIVE_SHARE)\n    with",
        "for session in self.runner.sessions():\n"
        "        with contextlib.suppress(Exception):\n"
        "            await self.lifecycle.delete(session.id)\n"
        "    with",
    )
