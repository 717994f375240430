"""What a client is told when it cannot have what it asked for: a status, a code for programs, a message for people."""


class ApiError(Exception):
    """An answer other than success. `field` names the input that was wrong; `retry_after_s` says when to come again."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, retry_after_s: int | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s
        super().__init__(message)


def bad_input(field: str, message: str) -> ApiError:
    """400: `field` is wrong."""
    return ApiError(400, "bad_input", message, field=field)


def no_session(session_id: str) -> ApiError:
    """404: there is no such session."""
    return ApiError(404, "not_found", f"no session {session_id}", field="id")


def unavailable(code: str, message: str) -> ApiError:
    """503: it may work a moment later."""
    return ApiError(503, code, message, retry_after_s=1)
