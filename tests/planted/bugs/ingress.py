"""Bugs of the ingress, put into Traefik's file."""

from limpet.targets.local.traefik import Traefik
from planted.base import plant
from planted.patching import edit

TABLE = 'table = {"http": {"routers": {"backend": router}, "services": {"backend": {"loadBalancer": balancer}}}}'
TABLE_WITH_LOOSE_SOCKETS = """\
sockets = router | {"rule": "HeaderRegexp(`Upgrade`, `(?i)^websocket$`)", "service": "sockets", "priority": 1 << 30}
    loose = {"loadBalancer": {"servers": balancer["servers"]}}
    services = {"backend": {"loadBalancer": balancer}, "sockets": loose}
    table = {"http": {"routers": {"backend": router, "sockets": sockets}, "services": services}}"""


@plant(caught_by="stickiness", unrelated="replicas", where="ingress")
def cookie_dropped() -> None:
    """The ingress sets no cookie: every request goes to the next replica."""
    edit(Traefik, "route", 'balancer["sticky"] = {"cookie": cookie}', "del cookie")


@plant(caught_by="stickiness", unrelated="session-record", where="ingress")
def sticky_only_for_http() -> None:
    """WebSockets have a rule of their own in the ingress, and that one is without the cookie."""
    edit(Traefik, "route", TABLE, TABLE_WITH_LOOSE_SOCKETS)


@plant(caught_by="stickiness", unrelated="shared-view", where="ingress")
def cookie_open_to_scripts() -> None:
    """The cookie is set without HttpOnly."""
    edit(Traefik, "route", '"httpOnly": True', '"httpOnly": False')
