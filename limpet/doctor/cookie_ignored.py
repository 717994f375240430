"""The ingress gets its cookie back and is content with it, yet one client's requests reach several replicas.

Something between the ingress and the replicas balances once more: a Service's own address, a mesh.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from limpet.doctor.base import Cause, Examination, Seen, UnseenError, Visit, named
from limpet.doctor.served import served, value

MOVES_MIN = 2  # one may be a replica that left meanwhile


def _look(seen: Seen) -> Iterator[Cause]:
    if seen.contract.ingress is None:
        raise UnseenError("[ingress] is not in the contract")
    cookie = seen.contract.ingress.cookie
    kept = [_with_one_cookie(visits) for visits in served(seen)]
    routes = [[visit.instance for visit in visits if visit.instance] for visits in kept]
    routes.append([trial.owner for trial in seen.trials if trial.owner])
    if not any(len(route) > 1 for route in routes):
        raise UnseenError(_untold(seen, kept))
    moves = sum(before != after for route in routes for before, after in pairwise(route))
    if moves < MOVES_MIN:
        return
    visited = max((set(route) for route in routes), key=len)
    count = sum(len(route) - 1 for route in routes if route)
    yield Cause(
        EXAMINATION.name,
        frozenset({cookie}),
        f"{cookie} is accepted, and then not followed",
        (
            f"{moves} of {count} requests with an unchanged {cookie} reached another replica than the one before",
            f"one client reached {named(visited)}",
        ),
        "have the ingress send clients to the replicas themselves, not to an address that balances again (Traefik on "
        "Kubernetes: no nativeLB; no mesh or proxy that takes each request for itself)",
    )


def _with_one_cookie(visits: Sequence[Visit]) -> list[Visit]:
    """The answers to requests that all carried the same value; none of a client that has no cookie."""
    if not visits or not visits[0].cookie:
        return []
    given = value(visits[0].cookie)
    return [visit for visit in visits if not visit.cookie or value(visit.cookie) == given]


def _untold(seen: Seen, kept: Sequence[Sequence[Visit]]) -> str:
    if not any(len(visits) > 1 for visits in kept):
        return "no client kept a cookie for two requests"
    if seen.contract.http.instance_header is None:
        return "http.instance_header is not in the contract; --try-session tells by whose sessions it starts"
    return f"answers do not carry {seen.contract.http.instance_header}"


EXAMINATION = Examination("cookie ignored", "a session is on a different backend instance", _look)
