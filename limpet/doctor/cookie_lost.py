"""The cookie is set, but does not come back to where it is needed.

Either its attributes keep browsers from sending it, or something on the way takes it out: then the ingress sees a new
client each time, and sets another one.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from limpet.doctor.base import Cause, Examination, Seen, UnseenError
from limpet.doctor.served import first_answers, morsel, served, value

CHANGES_MIN = 2  # one may be a replica that left meanwhile


def _look(seen: Seen) -> Iterator[Cause]:
    if seen.contract.ingress is None:
        raise UnseenError("[ingress] is not in the contract")
    cookie = seen.contract.ingress.cookie
    kept_back = sorted({reason for visit in first_answers(seen) for reason in _kept_back(seen, visit.cookie)})
    if kept_back:
        line = next(visit.cookie for visit in first_answers(seen) if visit.cookie)
        yield Cause(
            EXAMINATION.name,
            frozenset({f"{cookie}: attributes"}),
            f"Clients do not send {cookie} to everything that needs it",
            (f"Set-Cookie: {line}", *kept_back),
            "have the ingress set it with path=/ and without domain, and without secure where users come over http",
        )
    clients = served(seen)
    changes = sum(_changes([visit.cookie for visit in visits]) for visits in clients)
    if changes >= CHANGES_MIN:
        requests = sum(max(0, len(visits) - 1) for visits in clients)
        yield Cause(
            EXAMINATION.name,
            frozenset({f"{cookie}: way"}),
            f"{cookie} is sent back, but does not reach the ingress that set it",
            (f"{changes} of {requests} requests that carried it were answered with another {cookie}",),
            "look for what stands before the ingress and drops the Cookie header, or spreads clients over several "
            "ingresses that do not know each other's cookies",
        )


def _kept_back(seen: Seen, line: str) -> Iterator[str]:
    """Why a browser would not send the cookie of this Set-Cookie line (RFC 6265, 5.4)."""
    assert seen.contract.ingress is not None
    cookie = morsel(line, seen.contract.ingress.cookie) if line else None
    if cookie is None:
        return
    place = urlsplit(seen.status.place.base_url)
    path, domain = cookie["path"] or "/", cookie["domain"].lstrip(".").lower()
    paths = {seen.contract.http.list.path} | ({seen.contract.websocket.path} if seen.contract.websocket else set())
    for needed in sorted(paths):
        if not (needed == path or needed.startswith(path if path.endswith("/") else f"{path}/")):
            yield f"its path {path} does not cover {needed}"
    if cookie["secure"] and place.scheme == "http":
        yield f"it is secure, and users come over http: {place.geturl()}"
    host = (place.hostname or "").lower()
    if domain and host != domain and not host.endswith(f".{domain}"):
        yield f"its domain {domain} is not that of {host}"


def _changes(lines: list[str]) -> int:
    """How often a client that had the cookie was given another value."""
    count, held = 0, ""
    for line in lines:
        if line and held and value(line) != held:
            count += 1
        held = value(line) if line else held
    return count


EXAMINATION = Examination("cookie lost", "a session is on a different backend instance", _look)
