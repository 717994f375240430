"""Bugs of the instance id: one for several processes, or several for one."""

import uuid
from pathlib import Path

from planted.base import plant
from planted.patching import edit, replace
from reference_backend.app import App
from reference_backend.replica import Replica
from reference_backend.server import Server
from reference_backend.settings import Settings


@plant(
    caught_by="identity",
    unrelated="history",
    also=(
        "replicas",
        "session-record",
        "shared-view",
        "stickiness",
        "affinity",
        "restart-persistence",
        "scaling",
        "heartbeat",
        "locking",
        "continuity",
    ),
)
def shared_instance_id() -> None:
    """The instance id is made from the deployment's name, so all replicas have the same.

    Whatever tells one replica from another, heartbeats, owned sets and answers, tells them apart no more.
    """
    edit(Replica, "__init__", "str(uuid.uuid4())", 'str(uuid.uuid5(uuid.NAMESPACE_DNS, "backend"))')


@plant(caught_by="identity", unrelated="session-record", also=("heartbeat",))
def instance_id_kept_in_file() -> None:
    """The instance id is kept in a file, and the process that is started again in its place takes it from there.

    The heartbeat of the killed one lives on in that of the next: its disappearance cannot be seen.
    """
    edit(
        Replica,
        "__init__",
        "str(uuid.uuid4())",
        '__import__("planted.bugs.identity", fromlist=["kept"]).kept(settings)',
    )


def kept(settings: Settings) -> str:
    """The id from the file of this pod, in the folder of the contract; a new one if there is no file."""
    file = Path(f"instance-{settings.port}")
    if not file.exists():
        file.write_text(str(uuid.uuid4()), encoding="ascii")
    return file.read_text(encoding="ascii")


@plant(
    caught_by="identity",
    unrelated="history",
    also=("replicas", "session-record", "stickiness", "affinity", "scaling"),
)
def header_names_another() -> None:
    """Answers carry an id that the web server made for itself, and not that of the log, the heartbeat and the API.

    Who answered is told by the header, and who owns or watches by the other id: where both are compared they differ.
    """
    init = Server.__init__

    def with_another(self: Server, app: App, _instance: str, settings: Settings) -> None:
        init(self, app, str(uuid.uuid4()), settings)

    replace(Server, "__init__", with_another)
