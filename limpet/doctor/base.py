"""What a cause is, what it is looked for in, and how one says that it could not be looked for.

Each cause is looked for by one small function in a file beside this one. It does no I/O: all that there is to see was
gathered before, so that a cause can be shown on what was recorded as well as on a running system.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from limpet.contract import Contract
from limpet.errors import LimpetError
from limpet.status.in_redis import Keys, Server
from limpet.status.look import Status

NAMES_MAX = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a client that sends back every cookie that it was given.

    Attributes:
        status: of the answer; 0 when there was none, and then `error` says why.
        instance: the replica that says it answered; "" when it does not.
        cookie: the contract's cookie as this answer sets it, with its attributes; "" when it sets none.
        others: names of other cookies that it sets.
    """

    status: int
    instance: str = ""
    cookie: str = ""
    others: tuple[str, ...] = ()
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004  the class of codes that RFC 9110 calls successful


@dataclass(frozen=True, slots=True)
class Trial:
    """One session that was started, watched and stopped again by one client with its cookie.

    Attributes:
        created: status of the create.
        owner: the replica that answered it, or that owns the session; "" when neither tells.
        watched: status of the WebSocket's handshake, 101 when it was opened; 0 when nothing came back.
        text: what the refusal or the first messages said.
    """

    created: int
    owner: str = ""
    watched: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that causes are looked for in.

    Attributes:
        clients: what new clients saw, one list of visits each.
        trials: of one client; empty unless the user allowed to start sessions.
    """

    status: Status
    clients: tuple[tuple[Visit, ...], ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def contract(self) -> Contract:
        """What the backend is said to offer."""
        return self.status.place.contract

    def server(self) -> Server:
        """Redis itself. Raises UnseenError when it could not be asked."""
        if self.status.redis is None:
            raise UnseenError(f"Redis could not be asked: {self.status.redis_error}")
        return self.status.redis.server

    def keys(self, *needed: str) -> Keys:
        """What Redis holds. Raises UnseenError when it could not be asked, or the contract lacks a `needed` key."""
        missing = [f"redis.{key}" for key in needed if getattr(self.contract.redis, key) is None]
        if missing:
            raise UnseenError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in the contract")
        self.server()
        assert self.status.redis is not None  # server() has seen to it
        return self.status.redis.keys


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that is wrong.

    Attributes:
        name: of the examination that found it.
        about: what it concerns: replicas, keys, sessions; a second look has to find it of one of them again.
        what: what is wrong, in one sentence.
        evidence: what shows it.
        remedy: what to do.
    """

    name: str
    about: frozenset[str]
    what: str
    evidence: tuple[str, ...]
    remedy: str


class UnseenError(LimpetError):
    """A cause could not be looked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One cause that is looked for.

    Attributes:
        name: "clock skew".
        symptom: what its users notice, as the manual guide's troubleshooting calls it.
        look: finds it. Raises UnseenError.
        passing: whether a sound system shows it for a moment; then only what a second look shows too is a cause.
    """

    name: str
    symptom: str
    look: Callable[[Seen], Iterable[Cause]]
    passing: bool = False


def named(things: Iterable[str]) -> str:
    """`a, b, c and 4 more`, in order."""
    ordered = sorted(things)
    more = len(ordered) - NAMES_MAX
    return ", ".join(ordered[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
