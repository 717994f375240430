from typing import Any

from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.session_record import check
from limpet.contract import Contract
from limpet.verdict import Verdict


def alive(id_: str, **change: Any) -> dict[str, Any]:
    """What Redis has of a session that runs."""
    record = {"type": "string", "ttl_ms": -1, "json": {"id": id_}}
    left = {f"session:{id_}": -1, f"events:{id_}": -1, f"fence:{id_}": -1}
    return {"session": record, "active": True, "owners": ["i-a"], "websocket": None, "left": left} | change


def dead(id_: str, **change: Any) -> dict[str, Any]:
    """What Redis has of a session that was deleted: a stream that still expires."""
    record = {"type": "none", "ttl_ms": -2, "json": None}
    left = {f"events:{id_}": 300_000}
    return {"session": record, "active": False, "owners": [], "websocket": None, "left": left} | change


class Life:
    """The whole life of one session; subclasses change one thing of it."""

    replicas: tuple[str, ...] = ("i-a", "i-b")
    left_behind: dict[str, int] = {}  # noqa: RUF012  read only

    def after_create(self, id_: str) -> dict[str, Any]:
        return alive(id_)

    def while_watched(self, id_: str) -> dict[str, Any]:
        return alive(id_, websocket="i-b")

    def after_delete(self, id_: str) -> dict[str, Any]:
        return dead(id_)

    def listed_after(self, id_: str) -> list[str]:
        return ["another"]

    def message_after(self, script: Script, process: int, id_: str) -> None:
        script.add("message", "session_ended", process, id_, 8)

    def history_later(self, id_: str) -> list[dict[str, Any]]:
        return [{"seq": 7}]

    def instances(self, ids: list[str]) -> list[dict[str, Any]]:
        return [{"instance": "i-a", "gadgets": ["another"]}]

    def tell(self, sessions: int = 50) -> Script:
        script = Script("session-record")
        script.note("target", replicas=2)
        ids = [f"s{n}" for n in range(sessions)]
        for n, id_ in enumerate(ids):
            script.op("create", 1, id_, pod=self.replicas[n % len(self.replicas)])
            script.op("look", 2, id_, self.after_create(id_), step="created")
            script.op("connect", 100 + n, id_, pod="i-b")
            script.add("message", "event", 100 + n, id_, 7)
            script.op("look", 2, id_, self.while_watched(id_), step="watched")
            script.op("delete", 1, id_, pod="i-b")
            script.op("look", 2, id_, self.after_delete(id_), step="deleted")
            for pod in ("i-a", "i-b"):
                script.op("list", 3, value=self.listed_after(id_), pod=pod)
            self.message_after(script, 100 + n, id_)
        for id_ in ids:
            script.op("events after", 3, id_, [{"seq": 7}])
            script.op("events later", 3, id_, self.history_later(id_))
        script.op("instances", 3, value=self.instances(ids))
        script.op("traces", 2, value=self.left_behind)
        return script


def test_fifty_whole_lives_are_held(gadget: Contract) -> None:
    held(check(Life().tell().section(), gadget))


def test_keys_that_expire_may_be_left(gadget: Contract) -> None:
    life = Life()
    life.left_behind = {"events:s3": 299_000, "idempotency:s3": 86_000_000}
    held(check(life.tell().section(), gadget))


def test_a_key_without_expiry_that_is_left_is_violated(gadget: Contract) -> None:
    life = Life()
    life.left_behind = {"epoch:s3": -1}
    violated(check(life.tell().section(), gadget), "nothing left")


def test_a_create_that_forgets_the_index_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def after_create(self, id_: str) -> dict[str, Any]:
            return alive(id_, active=False)

    violated(check(Bug().tell().section(), gadget), "created")


def test_a_session_key_that_is_no_json_of_the_session_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def after_create(self, id_: str) -> dict[str, Any]:
            return alive(id_, session={"type": "hash", "ttl_ms": -1, "json": None})

    violated(check(Bug().tell().section(), gadget), "created")


def test_a_session_in_two_owned_sets_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def after_create(self, id_: str) -> dict[str, Any]:
            return alive(id_, owners=["i-a", "i-b"])

    violated(check(Bug().tell().section(), gadget), "created")


def test_a_websocket_key_that_names_another_replica_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def while_watched(self, id_: str) -> dict[str, Any]:
            return alive(id_, websocket="i-a")

    violated(check(Bug().tell().section(), gadget), "watched")


def test_a_delete_that_forgets_a_key_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def after_delete(self, id_: str) -> dict[str, Any]:
            return dead(id_, left={f"fence:{id_}": -1})

    violated(check(Bug().tell().section(), gadget), "deleted")


def test_a_websocket_key_may_outlive_the_delete_by_its_sockets(gadget: Contract) -> None:
    class Slow(Life):
        def after_delete(self, id_: str) -> dict[str, Any]:
            return dead(id_, left={f"ws:{id_}": -1})

    held(check(Slow().tell().section(), gadget))


def test_a_session_that_stays_in_an_owned_set_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def after_delete(self, id_: str) -> dict[str, Any]:
            return dead(id_, owners=["i-a"])

    violated(check(Bug().tell().section(), gadget), "deleted")


def test_a_replica_that_still_lists_it_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def listed_after(self, id_: str) -> list[str]:
            return [id_] if id_ == "s9" else []

    violated(check(Bug().tell().section(), gadget), "unlisted")


def test_an_event_long_after_the_delete_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def message_after(self, script: Script, process: int, id_: str) -> None:
            script.wait(0.3)
            script.add("message", "event", process, id_, 8)

    violated(check(Bug().tell().section(), gadget), "silent")


def test_an_event_in_flight_at_the_delete_is_held(gadget: Contract) -> None:
    class Late(Life):
        def message_after(self, script: Script, process: int, id_: str) -> None:
            script.wait(0.1)
            script.add("message", "event", process, id_, 8)

    held(check(Late().tell().section(), gadget))


def test_a_stream_that_does_not_end_is_violated(gadget: Contract) -> None:
    script = Life().tell()
    script.note("gave up", "end of stream", session="s3", why="end of the stream of s3: not within 2 s")
    violated(check(script.section(), gadget), "silent")


def test_a_history_that_goes_on_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def history_later(self, id_: str) -> list[dict[str, Any]]:
            return [{"seq": 7}, {"seq": 8}]

    violated(check(Bug().tell().section(), gadget), "quiet")


def test_a_gadget_that_still_runs_is_violated(gadget: Contract) -> None:
    class Bug(Life):
        def instances(self, ids: list[str]) -> list[dict[str, Any]]:
            return [{"instance": "i-a", "gadgets": [ids[0]]}]

    violated(check(Bug().tell().section(), gadget), "stopped")


def test_a_failed_create_is_for_other_guarantees_to_judge(gadget: Contract) -> None:
    script = Life().tell()
    script.op("create", 1, "", type_="info", status=502)
    held(check(script.section(), gadget))


def test_sessions_through_one_replica_only_are_unknown(gadget: Contract) -> None:
    life = Life()
    life.replicas = ("i-a",)
    unknown(check(life.tell().section(), gadget), "calls")


def test_too_few_lives_are_unknown(gadget: Contract) -> None:
    assert check(Life().tell(20).section(), gadget).verdict is Verdict.UNKNOWN


def test_without_redis_keys_the_rest_is_judged(bare: Contract) -> None:
    judgement = check(Life().tell().section(), bare)
    assert part(judgement, "created").missing
    held(judgement)
