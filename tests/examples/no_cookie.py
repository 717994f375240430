"""A pytest plugin that plants one bug in the ingress: Traefik's file has no sticky cookie."""

import json
from collections.abc import Sequence
from pathlib import Path

from limpet.targets.local.traefik import Traefik

_route = Traefik.route


def _without_cookie(self: Traefik, addresses: Sequence[str]) -> None:
    _route(self, addresses)
    file: Path = self._routes
    table = json.loads(file.read_text(encoding="utf-8"))
    table["http"]["services"]["backend"]["loadBalancer"].pop("sticky", None)
    file.write_text(json.dumps(table), encoding="utf-8")


Traefik.route = _without_cookie  # type: ignore[method-assign]  # planting it is the point
