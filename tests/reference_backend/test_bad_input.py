"""Whatever a client sends gets an answer below 500 that names the field, and the replica goes on."""

import asyncio
import json
import string
import uuid

import httpx
import pytest
from backend.service import BODY, Service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOBODY = str(uuid.UUID(int=7))


def body(**changes: object) -> bytes:
    return json.dumps(BODY | changes).encode()


BODIES = {
    "nothing": (b"", "body"),
    "no JSON": (b"{", "body"),
    "an array": (b"[]", "body"),
    "bad UTF-8": (b'{"type": "\xff\xfe"}', "body"),
    "NaN": (b'{"type": "trace_tcp", "rate": NaN}', "body"),
    "a lone surrogate": (b'{"type": "trace_tcp", "namespace": "\\ud800"}', "body"),
    "deep nesting": (b'{"type": "trace_tcp", "parameters": ' + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"}", "body"),
    "too large": (body(labels={"a": "x" * 70_000}), "body"),
    "no type": (b'{"namespace": "demo"}', "type"),
    "unknown type": (body(type="trace_unicorn"), "type"),
    "wrong kind of type": (body(type=7), "type"),
    "unknown field": (body(nmespace="demo"), "nmespace"),
    "unknown source": (body(source="magic"), "source"),
    "namespace with NUL": (body(namespace="de\0mo"), "namespace"),
    "namespace with blanks": (body(namespace="de mo"), "namespace"),
    "empty namespace": (body(namespace=""), "namespace"),
    "pod as path": (body(podName="../etc"), "podName"),
    "rate of nothing": (body(rate=0), "rate"),
    "rate below nothing": (body(rate=-1), "rate"),
    "huge rate": (body(rate=1e308), "rate"),
    "rate beyond numbers": (b'{"type": "trace_tcp", "rate": 1e999}', "rate"),
    "rate as text": (body(rate="10"), "rate"),
    "huge size": (body(size=10**30), "size"),
    "size in halves": (body(size=1.5), "size"),
    "timeout of nothing": (body(timeout=0), "timeout"),
    "huge timeout": (body(timeout=10**40), "timeout"),
    "labels as text": (body(labels="a=b"), "labels"),
    "nested label": (body(labels={"a": {"b": 1}}), "labels"),
    "label with NUL": (body(labels={"a": "\0"}), "labels"),
    "label's name with NUL": (body(labels={"\0": "a"}), "labels"),
    "label without name": (body(labels={"": "a"}), "labels"),
    "huge number in a label": (body(labels={"a": 2**60}), "labels"),
    "too many labels": (body(labels={str(n): "" for n in range(65)}), "labels"),
    "unknown parameter": (body(parameters={"magic": True}), "parameters"),
    "wrong kind of parameter": (body(parameters={"acceptOnly": 1}), "parameters"),
    "parameter out of range": (body(type="top_tcp", parameters={"interval": 0}), "parameters"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_and_its_field_named(service: Service, name: str) -> None:
    content, field = BODIES[name]
    url = (await service.urls())[0]
    answer = await service.http.post(f"{url}/api/sessions", content=content)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["field"] == field, answer.text


HEADERS = {
    "Idempotency-Key": ["", "a b", "x" * 300, "\u00e9"],
    "If-Match": ["", "one", '"1" or "2"', "-1", "9" * 400],
}


@pytest.mark.parametrize(("header", "value"), [(name, value) for name, values in HEADERS.items() for value in values])
async def test_a_bad_header_is_refused_and_named(service: Service, header: str, value: str) -> None:
    url = (await service.urls())[0]
    raw = {header.encode(): value.encode("latin-1")}
    if header == "If-Match":
        answer = await service.http.patch(f"{url}/api/sessions/{NOBODY}", json={"labels": {}}, headers=raw)
    else:
        answer = await service.http.post(f"{url}/api/sessions", json=BODY, headers=raw)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, header)


QUERIES = {
    "/api/sessions": [
        "limit=0",
        "limit=x",
        "limit=1e3",
        "limit=99999999999999999999",
        "cursor=%00",
        "cursor=e30",
        "cursor=W10",
        "cursor=" + "W" * 2000,
    ],
    "/api/events": [
        "limit=-1",
        "event_type=%00",
        "q=%00",
        "q=" + "x" * 300,
        "namespace=",
        "session_id=x",
        "start_time=yesterday",
        "end_time=9999-99-99",
        "start_time=0001-01-01T00:00:00%2B14:00",
        "cursor=WzEsMiwzLDRd",
        "cursor=WyJ4IiwieCIsIngiLDFd",
        "cursor=[[[[",
    ],
    f"/api/sessions/{NOBODY}/events": ["limit=10001", "after=-1", "after=9007199254740993", "stream=%00", "cursor=x"],
    f"/api/sessions/{NOBODY}/stats": ["stream=../.."],
}


@pytest.mark.parametrize(("path", "query"), [(path, query) for path, queries in QUERIES.items() for query in queries])
async def test_a_bad_query_is_refused_and_its_field_named(service: Service, path: str, query: str) -> None:
    url = (await service.urls())[0]
    answer = await service.http.get(f"{url}{path}?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, query.partition("=")[0]), answer.text


@pytest.mark.parametrize(
    "name", ["x", "%00", "%ff", "a" * 5000, "..%2f..", "' or 1=1 --", "5f0f1f5e00004000800000000000001"]
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_name_that_is_no_id_is_404(service: Service, method: str, name: str) -> None:
    url = (await service.urls())[0]
    answer = await service.http.request(method, f"{url}/api/sessions/{name}", content=b'{"labels": {}}')
    assert answer.status_code == 404


async def test_an_unknown_call_or_method_is_no_defect(service: Service) -> None:
    url = (await service.urls())[0]
    assert (await service.http.get(f"{url}/api/nothing")).json()["error"]["code"] == "not_found"
    assert (await service.http.put(f"{url}/api/sessions")).json()["error"]["code"] == "method_not_allowed"


async def test_only_the_holder_of_a_lock_can_have_a_gadget_stopped_by_the_internal_call(service: Service) -> None:
    url = (await service.urls())[0]
    made = await service.create(url)
    for token in ("", "guess", "\0", "x" * 1000):
        path = f"{url}/internal/sessions/{made['id']}/stop"
        assert (await service.http.post(path, json={"token": token})).status_code == 403
    assert made["id"] in [i for gadgets in (await service.running(url)).values() for i in gadgets]
    await service.delete(url, made["id"])


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\0\0\0\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/sessions?limit=\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /ws/x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /ws/x HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET /ws/\xff\xff HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_on_the_wire_never_gets_a_5xx(service: Service, raw: bytes) -> None:
    pod = (await service.pods())[0]
    host, port = pod.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read(65_536)
    writer.close()
    assert not answer.startswith(b"HTTP/1.1 5")
    assert (await service.http.get(f"http://{pod.address}/health")).status_code == 200


@pytest.mark.parametrize(
    "frames",
    [
        b"\xff" * 100,
        b"\x81\x05hello",  # not masked
        b"\x81\x84\0\0\0\0\xff\xfe\xff\xfe",  # not UTF-8
        b"\x80\x80\0\0\0\0",  # a continuation of nothing
        b"\x88\x81\0\0\0\0x",  # a close with half a code
        b"\x89\xfe\x01\0\0\0\0\0" + b"x" * 256,  # a ping of 256 bytes
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # an exabyte to come
        b"\xc1\x80\0\0\0\0",  # compressed, which was not agreed
    ],
)
async def test_garbage_after_the_handshake_closes_that_connection_only(service: Service, frames: bytes) -> None:
    url = (await service.urls())[0]
    made = await service.create(url)
    async with service.watch(url, made["id"]) as good, service.watch(url, made["id"]) as bad:
        bad.transport.write(frames)
        async with asyncio.timeout(10):
            await bad.wait_closed()
        async with asyncio.timeout(10):
            assert await good.recv()
            assert await good.recv()
    await service.delete(url, made["id"])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["type", "namespace", "podName", "labels", "rate", "size", "timeout", "parameters", "source"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.dictionaries(st.sampled_from(FIELDS) | st.text(string.ascii_letters, max_size=5), anything, max_size=5),
    data=st.data(),
)
def test_no_json_body_gets_a_5xx(any_url: str, body: dict[str, object], data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        body = BODY | body
    with httpx.Client(base_url=any_url) as http:
        answer = http.post("/api/sessions", content=json.dumps(body).encode(errors="surrogatepass"))
        assert answer.status_code < 500, answer.text
        if answer.status_code == 201:
            assert http.delete(f"/api/sessions/{answer.json()['id']}").status_code == 204
        else:
            assert answer.json()["error"]["field"]
