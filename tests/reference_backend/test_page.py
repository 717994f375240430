"""The page: complete in one file, and the calls and fields that it uses are there, which needs no browser."""

import base64
import hashlib
import re

from backend.service import Service, messages


async def test_the_page_needs_nothing_from_elsewhere_and_its_policy_allows_nothing_else(service: Service) -> None:
    answer = await service.http.get((await service.urls())[0] + "/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert not re.search(r"(src|href)=|https?://|@import|innerHTML|eval\(", answer.text)
    policy = answer.headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


async def test_what_the_page_reads_is_what_the_calls_give(service: Service) -> None:
    one, other = await service.urls()
    gadgets = (await service.http.get(f"{one}/api/gadgets")).json()
    assert {"type", "name", "description", "category", "parameters"} <= set(gadgets[0])
    assert len(gadgets) == 13
    assert "demo" in (await service.http.get(f"{one}/api/namespaces")).json()
    for gadget in gadgets:
        made = await service.create(one, type=gadget["type"], rate=100, parameters=quick(gadget["type"]))
        assert {"id", "type", "namespace", "status", "owner", "startTime", "reason"} <= set(made)
        async with service.watch(other, made["id"], "?after=0") as watcher:
            _, event = await messages(watcher, 2)
        assert event["eventType"] == gadget["eventType"]
        first = event["data"][0] if isinstance(event["data"], list) else event["data"]
        assert {"k8s", "runtime", "proc", "timestamp", "timestamp_raw"} <= set(first)
        assert await service.delete(other, made["id"]) == 204


def quick(gadget_type: str) -> dict[str, float]:
    """Parameters by which a gadget has something to show at once."""
    if gadget_type.startswith("top_"):
        return {"interval": 0.1}
    return {"duration": 0.1} if gadget_type == "profile_cpu" else {}
