"""The ingress does not answer, or has nobody to send clients to."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError, named

NOT_SERVED = (404, 502, 503, 504)  # what an ingress answers in place of a backend


def _look(seen: Seen) -> Iterator[Cause]:
    ingress, url = seen.status.ingress, seen.status.place.base_url
    if ingress is None:
        raise UnseenError("no address of the ingress is known: --url URL")
    call = seen.contract.http.list
    if ingress.status == 0:
        what, evidence = "The ingress does not answer", [f"{url}: {ingress.error}"]
        remedy = "see that the ingress runs and that this is its address"
    elif ingress.status in NOT_SERVED:
        what, evidence = "The ingress reaches no replica", [f"{call.method} {url}{call.path}: {ingress.status}"]
        remedy = "see that replicas are ready, that the Service's selector and port are theirs, and the ingress's paths"
    else:
        return
    for service in ingress.services or ():
        evidence.append(f"{service.name} has the servers {named(service.servers) or 'none'}")
    for replica in seen.status.replicas:
        answer = replica.ready if replica.ready.asked else replica.health
        evidence.append(f"{replica.name}: {answer.asked or 'no probe in the contract'}: {answer.status or answer.text}")
    yield Cause(EXAMINATION.name, frozenset({url}), what, tuple(evidence), remedy)


EXAMINATION = Examination("ingress down", "502 or no answer", _look, passing=True)
