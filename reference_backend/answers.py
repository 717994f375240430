"""Answers over HTTP, as JSON that is encoded by msgspec or comes from Redis as it is."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from reference_backend.errors import ApiError
from reference_backend.session import Stored

JSON = "application/json"


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any value."""
    return Response(msgspec.json.encode(content), status, headers, JSON)


def session_response(stored: Stored, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One session, with its revision as entity tag."""
    tag = {"ETag": f'"{stored.session.revision}"'}
    return Response(stored.shown, status, tag | dict(headers or {}), JSON)


def array_response(items: list[bytes], headers: Mapping[str, str] | None = None) -> Response:
    """An array of items that are JSON already."""
    return Response(b"[%b]" % b",".join(items), 200, headers, JSON)


def error_response(error: ApiError) -> Response:
    """What went wrong."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    content = {"code": error.code, "message": error.message, "field": error.field}
    return json_response({"error": content}, error.status, headers)
