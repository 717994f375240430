"""A replica that has no database: everything but the history works, and the history says why it does not."""

import httpx
import pytest
from backend.service import BODY, messages
from redis.asyncio import Redis
from websockets.asyncio.client import connect


@pytest.mark.parametrize("path", ["/api/events", "/api/sessions/{id}/events", "/api/sessions/{id}/stats"])
async def test_the_history_answers_503_with_the_reason(lone_url: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=lone_url) as http:
        made = (await http.post("/api/sessions", json=BODY)).json()
        answer = await http.get(path.format(id=made["id"]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "history_unavailable")
    assert "DATABASE_URL" in answer.json()["error"]["message"]


async def test_what_is_no_longer_kept_is_announced_as_one_gap(lone_url: str, valkey_port: int) -> None:
    async with httpx.AsyncClient(base_url=lone_url) as http:
        made = (await http.post("/api/sessions", json=BODY)).json()
        url = f"{lone_url.replace('http', 'ws')}/ws/{made['id']}"
        async with connect(url) as watcher:
            await messages(watcher, 12)
        async with Redis(port=valkey_port, db=1) as redis:
            await redis.xtrim(f"events:{made['id']}", maxlen=2, approximate=False)
        async with connect(f"{url}?after=1") as watcher:
            subscribed, gap, event = await messages(watcher, 3)
    assert (subscribed["seq"], subscribed["recovered"]) == (1, False)
    assert (gap["type"], gap["from"], gap["to"]) == ("gap", 2, event["seq"] - 1)
