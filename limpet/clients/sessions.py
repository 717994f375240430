"""One user's HTTP calls to the session service, recorded as they are made.

A user keeps cookies as a browser does, so the ingress can make them stick. Nothing here judges: an answer that should
not have come is recorded like any other.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self

import httpx

from limpet.contract import Contract, Endpoint
from limpet.errors import ClientError, RefusedError
from limpet.history import History, Recorder

TIMEOUT_S = 10.0
PAGE_COUNT_MAX = 1000
READS = ("GET", "HEAD")
Pace = Literal["any", "fast", "quiet"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, JSON of the body (None where it is none), and the replica that says it answered."""

    status: int
    body: Any
    pod: str
    headers: httpx.Headers

    @property
    def good(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004  the class of codes that RFC 9110 calls successful


class User:
    """One user. `base_url` is the ingress, or a pod for calls past it.

    Args:
        contract: the calls and their names.
        history: where the operations are recorded.
        base_url: `http://host:port`.
        sticky: keep cookies; without, every call arrives as a new client's.
        timeout_s: how long it waits for an answer.
    """

    def __init__(
        self,
        contract: Contract,
        history: History,
        base_url: str,
        *,
        sticky: bool = True,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.contract = contract
        self.base_url = base_url
        self.recorder = Recorder(history)
        self._sticky = sticky
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout_s, trust_env=False, verify=_tls())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def cookie(self) -> str | None:
        """The value of the ingress's cookie, as the user holds it now."""
        ingress = self.contract.ingress
        return self._http.cookies.get(ingress.cookie) if ingress else None

    @cookie.setter
    def cookie(self, value: str) -> None:
        if self.contract.ingress:
            self._http.cookies.clear()
            self._http.cookies.set(self.contract.ingress.cookie, value)

    async def create(self, key: str | None = None, *, op: str = "create", pace: Pace = "any") -> str | None:
        """Start a session; its id, or None if it was not made as far as is known.

        Its source speaks at this `pace`, where the contract says how.
        """
        http = self.contract.http
        body = {"fast": http.fast_body, "quiet": http.quiet_body, "any": None}[pace] or http.body
        headers = {http.idempotency_header: key} if key and http.idempotency_header else {}
        answer = await self.call(op, http.create, value=key, body=dict(body), headers=headers)
        return self._id(answer.body) if answer and answer.good else None

    async def create_slowly(self, rest: asyncio.Event, *, op: str) -> str | None:
        """As `create`, as from a slow line: half of the request is sent, and the other half when `rest` is set."""
        answer = await self.call(op, self.contract.http.create, body=dict(self.contract.http.body), rest=rest)
        return self._id(answer.body) if answer and answer.good else None

    async def read(self, session: str) -> Mapping[str, Any] | None:
        """One session as this user sees it, or None."""
        if self.contract.http.read is None:
            return None
        answer = await self.call("read", self.contract.http.read, session=session)
        return answer.body if answer and answer.good and isinstance(answer.body, dict) else None

    async def update(self, session: str, value: Any) -> bool:
        """Write `value` into the field that can be updated; whether it was acknowledged."""
        http = self.contract.http
        if http.update is None or http.update_field is None:
            return False
        answer = await self.call("update", http.update, session=session, value=value, body={http.update_field: value})
        return bool(answer and answer.good)

    async def delete(self, session: str) -> bool:
        """Delete a session; whether it was acknowledged."""
        answer = await self.call("delete", self.contract.http.delete, session=session)
        return bool(answer and answer.good)

    async def list(self) -> list[str] | None:
        """The ids of all sessions, page by page, as one operation; None if it could not be had."""
        http = self.contract.http
        async with self.recorder.operation("list") as done:
            ids: list[str] = []
            cursor: str | None = None
            for _ in range(PAGE_COUNT_MAX):
                answer = await self._send(http.list, params={"cursor": cursor} if cursor else None)
                if not answer.good:
                    done.refused(pod=answer.pod, status=answer.status, **self._trace(answer))
                    return None
                if not isinstance(answer.body, list | None):
                    raise ClientError(f"the list is no JSON array: {answer.body!r:.100}")
                ids += [id_ for item in answer.body or () if (id_ := self._id(item)) is not None]
                cursor = answer.headers.get(http.cursor_header) if http.cursor_header else None
                if not cursor:
                    done.ok(value=ids, pod=answer.pod, status=answer.status, **self._trace(answer))
                    return ids
            raise ClientError(f"the list has no end after {PAGE_COUNT_MAX} pages")
        return None

    async def call(
        self,
        op: str,
        endpoint: Endpoint,
        *,
        session: str = "",
        value: Any = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        rest: asyncio.Event | None = None,
    ) -> Answer | None:
        """Make one call and record it as `op`. None when nothing came back.

        With `rest` the second half of the body is sent when that is set.
        """
        reads = endpoint.method in READS
        async with self.recorder.operation(op, session, value) as done:
            answer = await self._send(endpoint, session=session, body=body, headers=headers, params=params, rest=rest)
            data = {"status": answer.status, **self._trace(answer)}
            if answer.good:
                creates = endpoint == self.contract.http.create
                made = (self._id(answer.body) or "") if creates else session
                done.ok(session=made, value=answer.body if reads or creates else value, pod=answer.pod, **data)
            elif op == "read" and answer.status == httpx.codes.NOT_FOUND:
                done.ok(session=session, pod=answer.pod, **data)  # absence is what was read
            elif reads or answer.status < httpx.codes.INTERNAL_SERVER_ERROR:
                done.refused(pod=answer.pod, **data, text=str(answer.body)[:200])
            else:
                done.unclear(pod=answer.pod, **data, text=str(answer.body)[:200])
            return answer
        return None

    async def _send(
        self,
        endpoint: Endpoint,
        *,
        session: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        rest: asyncio.Event | None = None,
    ) -> Answer:
        if not self._sticky:
            self._http.cookies.clear()
        method, url = endpoint.method, endpoint.url(id=session)
        try:
            if rest is None:
                reply = await self._http.request(method, url, json=body, headers=headers, params=params)
            else:
                content = json.dumps(body).encode()
                about = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
                halves = _halves(content, rest)
                reply = await self._http.request(method, url, content=halves, headers=about, params=params)
        except httpx.ConnectError as error:
            raise RefusedError(f"no connection: {error}") from error
        except httpx.HTTPError as error:
            raise ClientError(f"{type(error).__name__}: {error}") from error
        header = self.contract.http.instance_header
        return Answer(reply.status_code, _json(reply), reply.headers.get(header, "") if header else "", reply.headers)

    def _trace(self, answer: Answer) -> dict[str, Any]:
        """What the judge of stickiness needs: the cookie that the ingress set, if it did."""
        ingress = self.contract.ingress
        set_ = [c for c in answer.headers.get_list("set-cookie") if ingress and c.startswith(ingress.cookie + "=")]
        return {"set_cookie": set_[-1]} if set_ else {}

    def _id(self, body: Any) -> str | None:
        value = body.get(self.contract.http.id) if isinstance(body, dict) else None
        return value if isinstance(value, str) else None


async def _halves(content: bytes, rest: asyncio.Event) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    await rest.wait()
    yield content[len(content) // 2 :]


@cache
def _tls() -> ssl.SSLContext:
    """One for all users: reading the system's certificates takes 30 ms, a hundred times what a request does."""
    return ssl.create_default_context()


def _json(reply: httpx.Response) -> Any:
    try:
        return json.loads(reply.content) if reply.content else None
    except ValueError:
        return reply.text[:200]
