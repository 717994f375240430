"""A client's requests stay on one replica, and its WebSocket is refused because it reached another one."""

from collections.abc import Iterator

from limpet.doctor.base import Cause, Examination, Seen, UnseenError


def _look(seen: Seen) -> Iterator[Cause]:
    if seen.contract.websocket is None:
        raise UnseenError("[websocket] is not in the contract")
    started = [trial for trial in seen.trials if 200 <= trial.created < 300]  # noqa: PLR2004  RFC 9110's successes
    if not started:
        refused = f"no session could be started: {seen.trials[0].created or seen.trials[0].text}" if seen.trials else ""
        raise UnseenError(refused or "it takes a session to show it: --try-session")
    text = seen.contract.websocket.wrong_instance_text
    refused_ = [trial for trial in started if (text and text in trial.text) or trial.watched != 101]  # noqa: PLR2004
    if not refused_:
        return
    said = sorted({f"{trial.watched or 'no answer'}: {trial.text}" for trial in refused_})
    yield Cause(
        EXAMINATION.name,
        frozenset({seen.contract.websocket.path}),
        "A WebSocket with its session's cookie is refused",
        (f"{len(refused_)} of {len(started)} streams of sessions that this client had just started", *said[:3]),
        f"have the ingress send {seen.contract.websocket.path} to the same sticky service as the API, with its Cookie "
        "and Upgrade headers",
    )


EXAMINATION = Examination("stream elsewhere", "a session is on a different backend instance", _look)
