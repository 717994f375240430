"""Sessions over HTTP, through two replicas of a whole service."""

import asyncio
import uuid

from backend.service import BODY, Service


async def test_a_session_made_at_one_replica_is_the_same_at_the_other(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, labels={"app": "apples", "tries": 3})
    assert await service.read(other, made["id"]) == made
    assert (made["status"], made["revision"], made["labels"]) == ("running", 1, {"app": "apples", "tries": 3})
    assert await service.delete(one, made["id"]) == 204


async def test_every_answer_names_the_replica_that_gave_it(service: Service) -> None:
    pods = await service.pods()
    for pod in pods:
        for path in ("/health", "/api/sessions", "/nowhere", f"/api/sessions/{uuid.uuid4()}"):
            answer = await service.http.get(f"http://{pod.address}{path}")
            assert answer.headers["X-Backend-Instance"] == pod.instance


async def test_the_same_idempotency_key_at_both_replicas_at_once_makes_one_session(service: Service) -> None:
    urls = await service.urls()
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    made = await asyncio.gather(*(service.create(url, headers) for url in urls * 4))
    ids = {one["id"] for one in made}
    assert len(ids) == 1
    running = [i for gadgets in (await service.running(urls[0])).values() for i in gadgets]
    assert running.count(ids.pop()) == 1
    await service.delete(urls[0], made[0]["id"])


async def test_a_key_whose_session_was_deleted_is_gone_for_good(service: Service) -> None:
    one, other = await service.urls()
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    made = await service.create(one, headers)
    assert await service.delete(other, made["id"]) == 204
    answer = await service.http.post(f"{one}/api/sessions", json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["error"]["field"]) == (410, "Idempotency-Key")


async def test_an_update_is_seen_everywhere_and_a_stale_one_is_refused(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one)
    path = f"/api/sessions/{made['id']}"
    answer = await service.http.patch(f"{other}{path}", json={"labels": {"a": "1"}}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["revision"], answer.headers["ETag"]) == (200, 2, '"2"')
    assert (await service.read(one, made["id"]))["labels"] == {"a": "1"}
    stale = await service.http.patch(f"{one}{path}", json={"labels": {}}, headers={"If-Match": "1"})
    assert (stale.status_code, stale.json()["error"]["field"]) == (412, "If-Match")
    assert (await service.read(other, made["id"]))["labels"] == {"a": "1"}
    await service.delete(one, made["id"])


async def test_concurrent_updates_lose_nothing(service: Service) -> None:
    urls = await service.urls()
    made = await service.create(urls[0])
    calls = (
        service.http.patch(f"{urls[n % 2]}/api/sessions/{made['id']}", json={"labels": {"n": n}}) for n in range(20)
    )
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["revision"] for answer in answers) == list(range(2, 22))
    last = max(answers, key=lambda answer: int(answer.json()["revision"]))
    assert (await service.read(urls[1], made["id"]))["labels"] == last.json()["labels"]
    await service.delete(urls[0], made["id"])


async def test_a_delete_at_the_other_replica_stops_the_gadget_and_leaves_no_lasting_key(
    service: Service,
) -> None:
    one, other = await service.urls()
    made = await service.create(one)
    assert made["id"] in [i for gadgets in (await service.running(other)).values() for i in gadgets]
    assert await service.delete(other, made["id"]) == 204
    assert made["id"] not in [i for gadgets in (await service.running(other)).values() for i in gadgets]
    left = {key for key in await service.keys() if made["id"] in key}
    assert all([await service.redis.pttl(key) > 0 for key in left])
    assert not await service.redis.sismember("sessions:active", made["id"])
    assert not await service.redis.sismember(f"backend:{made['owner']}:sessions", made["id"])
    assert await service.delete(one, made["id"]) == 404
    assert (await service.http.get(f"{other}/api/sessions/{made['id']}")).status_code == 404


async def test_of_many_deletes_at_once_one_succeeds(service: Service) -> None:
    urls = await service.urls()
    made = await service.create(urls[0])
    statuses = await asyncio.gather(*(service.delete(url, made["id"]) for url in urls * 3))
    assert sorted(statuses) == [204, 404, 404, 404, 404, 404]


async def test_pages_show_every_session_once_while_others_come_and_go(service: Service) -> None:
    one, other = await service.urls()
    made = [await service.create(one, rate=0.1) for _ in range(9)]
    seen, cursor = [], ""
    for url in (one, other) * 20:
        answer = await service.http.get(f"{url}/api/sessions?limit=2{cursor}")
        seen += [session["id"] for session in answer.json()]
        passing = await service.create(other, rate=0.1)
        await service.delete(one, passing["id"])
        if "X-Next-Cursor" not in answer.headers:
            break
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"
    ids = {session["id"] for session in made}
    assert sorted(i for i in seen if i in ids) == sorted(ids)
    assert ids <= {session["id"] for session in (await service.http.get(f"{other}/api/sessions")).json()}
    await asyncio.gather(*(service.delete(one, i) for i in ids))


async def test_a_snapshot_ends_by_itself_and_stays_for_a_while(service: Service) -> None:
    one, other = await service.urls()
    made = await service.create(one, type="snapshot_process", rate=1)
    async with service.watch(other, made["id"], "?after=0") as watcher:
        received = [message async for message in watcher]
    assert len(received) == 3  # subscribed, the snapshot, the end
    session = await service.read(other, made["id"])
    assert (session["status"], session["reason"]) == ("stopped", "completed")
    assert await service.delete(other, made["id"]) == 204


async def test_ten_thousand_sessions_are_listed_by_few_commands(service: Service) -> None:
    one, _ = await service.urls()
    made = await service.create(one, rate=0.1)
    ids = [str(uuid.UUID(int=n)) for n in range(1, 10_001)]
    async with service.redis.pipeline(transaction=False) as pipe:
        raw = str(await service.redis.get(f"session:{made['id']}"))
        for session_id in ids:
            pipe.set(f"session:{session_id}", raw.replace(made["id"], session_id))
        pipe.sadd("sessions:active", *ids)
        await pipe.execute()
    try:
        before = await service.redis.info("commandstats")
        listed = (await service.http.get(f"{one}/api/sessions")).json()
        after = await service.redis.info("commandstats")
    finally:
        await service.redis.srem("sessions:active", *ids)
        await service.redis.delete(*(f"session:{session_id}" for session_id in ids))
        await service.delete(one, made["id"])
    assert len(listed) == 10_001
    calls = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert calls.get("cmdstat_keys", 0) == 0
    assert calls["cmdstat_mget"] < 40
    assert calls.get("cmdstat_get", 0) < 1000
