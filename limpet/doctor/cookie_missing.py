"""The ingress gives new clients no cookie, so each of their requests may reach another replica."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError, named
from limpet.doctor.served import first_answers


def _look(seen: Seen) -> Iterator[Cause]:
    if seen.contract.ingress is None:
        raise UnseenError("[ingress] is not in the contract")
    wanted = seen.contract.ingress.cookie
    firsts = first_answers(seen)
    without = [visit for visit in firsts if not visit.cookie]
    if not without:
        return
    evidence = [f"{len(without)} of {len(firsts)} new clients got no cookie {wanted} with their first answer"]
    others = {name for visit in without for name in visit.others}
    if others:
        evidence.append(f"they got other cookies: {named(others)}")
    services = (seen.status.ingress.services if seen.status.ingress else None) or ()
    evidence += [
        f"the ingress says that {service.name} is {f'sticky by {service.cookie}' if service.cookie else 'not sticky'}"
        for service in services
        if service.cookie != wanted
    ]
    near = sorted(others | {service.cookie for service in services} - {"", wanted})
    remedy = f"have the ingress set a sticky cookie {wanted} (Traefik: loadBalancer.sticky.cookie.name)"
    if near:
        remedy += f', or, if {near[0]} is that cookie, write `ingress.cookie = "{near[0]}"` in the contract'
    yield Cause(
        EXAMINATION.name, frozenset({wanted}), "The ingress gives new clients no sticky cookie", tuple(evidence), remedy
    )


EXAMINATION = Examination("cookie missing", "a session is on a different backend instance", _look)
