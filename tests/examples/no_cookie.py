"""A pytest plugin that plants one bug in the ingress: Traefik's file has no sticky cookie.

The file is written once, as ever: one that is changed in its place is read half by Traefik, which then answers 404.
"""

from collections.abc import Sequence

from limpet.targets.local.traefik import Traefik

_route = Traefik.route


def _without_cookie(self: Traefik, addresses: Sequence[str]) -> None:
    cookie, self._cookie = self._cookie, ""
    _route(self, addresses)
    self._cookie = cookie


Traefik.route = _without_cookie  # type: ignore[method-assign]  # planting it is the point
