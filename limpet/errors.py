"""The exception tree. What a user must know of an error: whose fault it is, and what to do about it.

`LimpetError` and all below it end a run with exit code 3 (the harness or its surroundings failed) and their message is
written for the person who reads it: what is wrong, and what to write or do instead. `ClientError` is different: it is a
result of the system under test, recorded in the history and judged.
"""


class LimpetError(Exception):
    """The harness or its surroundings failed; nothing was shown about the backend. Exit code 3."""


class ContractError(LimpetError):
    """A contract file is missing, unreadable or wrong; the message names the key and the remedy."""


class HistoryError(LimpetError):
    """A stored history is missing or cannot be read."""


class PartFailedError(LimpetError):
    """A part of the local target (ingress, Redis, database, relay, pod) did not start or died on its own."""

    def __init__(self, part: str, reason: str, log: str | None = None) -> None:
        self.part = part
        self.reason = reason
        self.log = log
        super().__init__(f"{part}: {reason}" + (f"; log: {log}" if log else ""))


class UnsupportedError(LimpetError):
    """This target cannot do what was asked; `capability` says what, `reason` why."""

    def __init__(self, capability: str, reason: str) -> None:
        self.capability = capability
        self.reason = reason
        super().__init__(f"{capability}: {reason}")


class DeadlineError(LimpetError):
    """Something awaited did not come within its budget; the message says what, how long, and what was seen last."""


class ClientError(Exception):
    """The backend did not do what was asked. `definite` says whether it certainly did not happen."""

    definite = False  # recorded as `info`: it may have happened


class RefusedError(ClientError):
    """The backend answered that it did not do it (a 4xx, a refused connection); recorded as `fail`."""

    definite = True
