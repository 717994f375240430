"""The visits that say something about cookies: those that a backend, and not only the ingress, answered."""

from http.cookies import CookieError, Morsel, SimpleCookie

from limpet.doctor.base import Seen, UnseenError, Visit


def first_answers(seen: Seen) -> list[Visit]:
    """What each new client was answered first. Raises UnseenError when nobody was answered well."""
    if not seen.clients:
        raise UnseenError("no address of the ingress is known: --url URL")
    firsts = [visits[0] for visits in seen.clients]
    good = [visit for visit in firsts if visit.good]
    if not good:
        said = firsts[0].error or f"the answer is {firsts[0].status}"
        raise UnseenError(f"no client was served: {said}")
    return good


def served(seen: Seen) -> list[list[Visit]]:
    """The good answers of each client, in their order."""
    first_answers(seen)
    return [[visit for visit in visits if visit.good] for visits in seen.clients]


def morsel(line: str, name: str) -> Morsel[str] | None:
    """A cookie out of a Set-Cookie line; None when it is malformed."""
    try:
        return SimpleCookie(line).get(name)
    except CookieError:
        return None


def value(line: str) -> str:
    """The value that a Set-Cookie line gives."""
    return line.partition(";")[0].partition("=")[2].strip()
