"""What clients send, made into values or into an error that names the field. Past this module nothing is raw."""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request

from reference_backend.catalogue import GADGETS, Gadget
from reference_backend.errors import ApiError, bad_input, no_session
from reference_backend.lifecycle import Wanted
from reference_backend.session import NS_PER_S, Labels
from reference_backend.settings import Settings
from reference_backend.sources import SOURCES

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
REVISION = re.compile(r'(?:W/)?"?([0-9]{1,15})"?')
DIGITS = re.compile(r"-?[0-9]{1,18}")
LABELS_MAX = 64
LABEL_CHARS_MAX = 1024
RATE_MAX = 10_000.0
SIZE_MAX = 65_536
INTEGER_MAX = 2**53
AT_FIELD = re.compile(r" - at `(?:key in )?\$(?:\.?(\w+))?")
UNKNOWN_FIELD = re.compile(r"(?:unknown|missing required) field `([^`]*)`")


class _Create(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    namespace: str = "default"
    podName: str = ""  # noqa: N815 - names of the contract's JSON
    containerName: str = ""  # noqa: N815
    labels: Labels = {}
    source: str | None = None
    rate: float = 10.0
    size: int = 0
    timeout: int | None = None
    parameters: dict[str, Any] = {}


class _Update(msgspec.Struct, forbid_unknown_fields=True):
    labels: Labels


class _Stop(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class _Migrate(msgspec.Struct, forbid_unknown_fields=True):
    to: str


class _Ids(msgspec.Struct, forbid_unknown_fields=True):
    sessions: list[str]


class Gift(msgspec.Struct, forbid_unknown_fields=True):
    """Sessions that are to be given to a replica: these, or so many."""

    to: str
    sessions: list[str] = []
    count: Annotated[int, msgspec.Meta(ge=0)] = 0


_create = msgspec.json.Decoder(_Create)
_update = msgspec.json.Decoder(_Update)
_stop = msgspec.json.Decoder(_Stop)
_migrate = msgspec.json.Decoder(_Migrate)
_ids = msgspec.json.Decoder(_Ids)
_gift = msgspec.json.Decoder(Gift)


async def wanted_session(request: Request, settings: Settings) -> Wanted:
    """The body of a create. Raises ApiError (400, 413)."""
    body: _Create = _decode(_create, await _body(request, settings.body_bytes))
    if body.type not in GADGETS:
        raise bad_input("type", f"unknown type {body.type[:100]!r}; one of: {', '.join(GADGETS)}")
    source = settings.source_names[0] if body.source is None else body.source
    if source not in settings.source_names:
        what = f"source {source} is not enabled" if source in SOURCES else f"unknown source {source[:100]!r}"
        raise bad_input("source", f"{what}; one of: {', '.join(settings.source_names)}")
    gadget = SOURCES[source].gadgets.get(body.type)
    if gadget is None:
        raise bad_input("type", f"source {source} has no {body.type}; it has: {', '.join(SOURCES[source].gadgets)}")
    for field in ("namespace", "podName", "containerName"):
        value = getattr(body, field)
        if (value or field == "namespace") and not NAME.fullmatch(value):
            raise bad_input(field, f"`{field}` must be a name of Kubernetes: letters, digits, '-', '.' and '_'")
        if value and field != "namespace" and not SOURCES[source].has_pods:
            raise bad_input(field, f"source {source} knows no pods; leave `{field}` out")
    if not (math.isfinite(body.rate) and 0 < body.rate <= RATE_MAX):
        raise bad_input("rate", f"`rate` must be above 0 and at most {RATE_MAX:g} events per second")
    if not 0 <= body.size <= SIZE_MAX:
        raise bad_input("size", f"`size` must lie between 0 and {SIZE_MAX} bytes")
    timeout_ns_max = int(settings.session_timeout_s * NS_PER_S)
    timeout_ns = timeout_ns_max if body.timeout is None else body.timeout
    if not 0 < timeout_ns <= timeout_ns_max:
        raise bad_input("timeout", f"`timeout` must be above 0 and at most {timeout_ns_max} nanoseconds")
    return Wanted(
        type=body.type,
        namespace=body.namespace,
        pod_name=body.podName,
        container_name=body.containerName,
        labels=_labels(body.labels),
        source=source,
        rate=body.rate,
        size=body.size,
        timeout_ns=timeout_ns,
        parameters=_parameters(gadget, body.parameters),
    )


async def new_labels(request: Request, settings: Settings) -> Labels:
    """The body of an update. Raises ApiError (400, 413)."""
    body: _Update = _decode(_update, await _body(request, settings.body_bytes))
    return _labels(body.labels)


async def lock_token(request: Request, settings: Settings) -> str:
    """The body of a peer's request to stop a gadget. Raises ApiError (400, 413)."""
    body: _Stop = _decode(_stop, await _body(request, settings.body_bytes))
    return body.token


async def target_instance(request: Request, settings: Settings) -> str:
    """The body of a migration. Raises ApiError (400, 413)."""
    body: _Migrate = _decode(_migrate, await _body(request, settings.body_bytes))
    return body.to


async def session_ids(request: Request, settings: Settings) -> list[str]:
    """The body of a peer's word that sessions are this replica's. Raises ApiError (400, 413)."""
    body: _Ids = _decode(_ids, await _body(request, settings.body_bytes))
    return [i for i in body.sessions if UUID.fullmatch(i)]


async def gift(request: Request, settings: Settings) -> Gift:
    """The body of a peer's wish that sessions be given. Raises ApiError (400, 413)."""
    body: Gift = _decode(_gift, await _body(request, settings.body_bytes))
    return body


def session_id_of(request: Request) -> str:
    """The id in the path. Raises ApiError (404): there can be no session of that name."""
    given: str = request.path_params["id"].lower()
    if not UUID.fullmatch(given):
        raise no_session(repr(given[:64]))
    return given


def idempotency_key(request: Request) -> str | None:
    """The header Idempotency-Key."""
    key = request.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise bad_input("Idempotency-Key", "must be 1 to 200 printable ASCII characters without blanks")
    return key


def if_match(request: Request) -> int | None:
    """The revision of the header If-Match; None without one, and for `*`."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    found = REVISION.fullmatch(given.strip())
    if not found:
        raise bad_input("If-Match", "must be a revision as the session's `revision` or `ETag` gives it")
    return int(found[1])


def integer(query: Mapping[str, str], field: str, *, least: int, most: int) -> int | None:
    """An integer of the query, None if it is not there."""
    given = query.get(field)
    if given is None:
        return None
    if not DIGITS.fullmatch(given) or not least <= int(given) <= most:
        raise bad_input(field, f"`{field}` must be an integer from {least} to {most}")
    return int(given)


def text(query: Mapping[str, str], field: str, *, most: int = 256) -> str | None:
    """A text of the query, None if it is not there."""
    given = query.get(field)
    if given is None:
        return None
    if not given or len(given) > most or not _plain(given):
        raise bad_input(field, f"`{field}` must be 1 to {most} characters without NUL")
    return given


def moment(query: Mapping[str, str], field: str) -> datetime | None:
    """A time of the query (RFC 3339), None if it is not there."""
    given = query.get(field)
    if given is None:
        return None
    when = instant(given)
    if when is None:
        raise bad_input(field, f"`{field}` must be a time as of RFC 3339: 2026-03-01T12:00:00Z")
    return when


def instant(given: str) -> datetime | None:
    """A time as of RFC 3339, in UTC if it does not say; None if it is none."""
    try:
        # In a query an unescaped `+` of an offset arrives as a blank.
        when = datetime.fromisoformat(given.replace(" ", "+") if given.count(" ") == 1 and "T" in given else given)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def write_cursor(*parts: str | int) -> str:
    """A place in a list, in a form that clients only hand back."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_cursor(query: Mapping[str, str], kinds: Any) -> Any:
    """A place that `write_cursor` wrote, as the tuple type `kinds`; None if it is not there."""
    given = query.get("cursor")
    if given is None:
        return None
    try:
        raw = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kinds)
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        raise bad_input("cursor", "`cursor` must be one that an answer gave") from None


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise ApiError(413, "too_large", f"the body must not exceed {most} bytes", field="body")
    return bytes(body)


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        found = UNKNOWN_FIELD.search(str(error)) or AT_FIELD.search(str(error))
        raise bad_input((found and found[1]) or "body", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_input("body", f"the body must be JSON: {error}") from None


def _labels(labels: Labels) -> Labels:
    if len(labels) > LABELS_MAX:
        raise bad_input("labels", f"at most {LABELS_MAX} labels")
    for name, value in labels.items():
        if not name or len(name) > LABEL_CHARS_MAX or not _plain(name):
            raise bad_input("labels", f"a label's name must be 1 to {LABEL_CHARS_MAX} characters without NUL")
        if isinstance(value, int):
            if abs(value) > INTEGER_MAX:
                raise bad_input("labels", "a label's number must be an integer that JSON readers keep exact (2^53)")
        elif len(value) > LABEL_CHARS_MAX or not _plain(value):
            raise bad_input("labels", f"a label's value must be at most {LABEL_CHARS_MAX} characters without NUL")
    return labels


def _parameters(gadget: Gadget, given: dict[str, Any]) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in gadget.parameters}
    for name, value in given.items():
        if name not in known:
            raise bad_input("parameters", f"{gadget.type} has no parameter {name[:100]!r}; known: {', '.join(known)}")
        if not known[name].fits(value):
            raise bad_input("parameters", f"parameter {name} must be {known[name].shown()}")
    return {name: given.get(name, parameter.default) for name, parameter in known.items()}


def _plain(given: str) -> bool:
    """Without NUL, which PostgreSQL refuses, and without lone surrogates, which UTF-8 does."""
    return "\0" not in given and not any("\ud800" <= c <= "\udfff" for c in given)
