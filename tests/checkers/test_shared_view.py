from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script

from limpet.checkers.shared_view import check
from limpet.contract import Contract
from limpet.verdict import Verdict

Twist = Callable[[Script], None]
ROUNDS = 15
ODD = "s7"  # the session that the twists are about


def labels(token: str) -> dict[str, str]:
    return {"limpet": token}


def read(script: Script, process: int, token: str | None, session: str = ODD, **data: Any) -> None:
    record = None if token is None else {"id": session, "labels": labels(token) if token else {}}
    script.op("read", process, session, record, status=200 if record else 404, **data)


def shown(script: Script, process: int, *ids: str, **data: Any) -> None:
    script.op("list", process, value=list(ids), **data)


def update(script: Script, process: int, token: str, **data: Any) -> None:
    script.add("invoke", "update", process, ODD, labels(token))
    script.add(data.pop("type_", "ok"), "update", process, ODD, labels(token), **data)


def nothing(script: Script) -> None:
    """The twist that changes nothing."""


def story(alive: Twist = nothing, gone: Twist = nothing, *, sessions: int = 33, record: Any = None) -> Script:
    """Sessions that live one after the other; `alive` comes in the middle of one of them, `gone` after its end.

    In the middle the last acknowledged value of the odd session is `s7.6`. `record` is what every record has beside.
    """
    script = Script("shared-view")
    script.note("target", replicas=2, fresh=True)
    for number in range(sessions):
        id_ = f"s{number}"
        script.add("invoke", "create", 1, "", f"key {id_}")
        script.add("ok", "create", 1, id_, {"id": id_, "labels": record}, pod="i-a")
        for step in range(ROUNDS):
            before, after = (labels(f"{id_}.{step - 1}") if step else {}), labels(f"{id_}.{step}")
            script.add("invoke", "update", 1, id_, after)
            script.add("invoke", "read", 2, id_)
            script.add("invoke", "list", 3)
            sees = after if step % 2 else before
            script.add("ok", "read", 2, id_, {"id": id_, "labels": sees | (record or {})}, pod="i-b")
            script.add("ok", "list", 3, "", [id_], pod="i-b")
            script.add("ok", "update", 1, id_, after, pod="i-a")
            script.op("read", 4, id_, {"id": id_, "labels": after | (record or {})}, pod="i-b")
            if id_ == ODD and step == 6:
                alive(script)
        script.add("invoke", "delete", 1, id_)
        script.op("list", 3, value=[id_] if number % 2 else [], pod="i-b")
        script.add("ok", "delete", 1, id_, pod="i-a")
        script.op("read", 2, id_, None, status=404)
        if id_ == ODD:
            gone(script)
    return script


def guide_story(alive: Twist = nothing, gone: Twist = nothing) -> Script:
    """The same for a backend whose sessions can only be listed, and whose owned sets tell who answered a create."""
    script = Script("shared-view")
    script.note("target", replicas=2, fresh=True)
    for owner in ("i-a", "i-b"):
        script.op("visit", 1, f"visit {owner}")
        script.op("look", 9, f"visit {owner}", {"owners": [owner]}, step="who")
    for number in range(33):
        id_ = f"s{number}"
        script.add("invoke", "create", 1)
        for turn in range(8):
            shown(script, 2, *([id_] if turn > 3 else []))
        script.add("ok", "create", 1, id_, {"id": id_})
        for _ in range(45):
            shown(script, 2, id_)
        if id_ == ODD:
            alive(script)
        script.add("invoke", "delete", 1, id_)
        for turn in range(8):
            shown(script, 2, *([] if turn > 3 else [id_]))
        script.add("ok", "delete", 1, id_)
        shown(script, 2)
        if id_ == ODD:
            gone(script)
    return script


def test_what_all_replicas_see_alike_is_held(gadget: Contract) -> None:
    held(check(story().section(), gadget))


def test_a_backend_that_can_only_list_is_held(guide: Contract) -> None:
    judgement = check(guide_story().section(), guide)
    assert part(judgement, "update").missing
    held(judgement)


def stale_list(script: Script) -> None:
    shown(script, 3, pod="i-b")


def stale_read(script: Script) -> None:
    read(script, 2, "s7.5", pod="i-b")


def lost_update(script: Script) -> None:
    script.add("invoke", "update", 1, ODD, labels("one"))
    script.add("invoke", "update", 2, ODD, labels("two"))
    script.add("ok", "update", 1, ODD, labels("one"))
    script.add("ok", "update", 2, ODD, labels("two"))
    read(script, 3, "s7.6")


def refused_write_seen(script: Script) -> None:
    update(script, 1, "refused", type_="fail", status=409)
    read(script, 2, "refused")


def seen_and_unseen(script: Script) -> None:
    script.add("invoke", "update", 1, ODD, labels("new"))
    read(script, 2, "new")
    read(script, 3, "s7.6")
    script.add("ok", "update", 1, ODD, labels("new"))
    read(script, 3, "new")


def value_of_another(script: Script) -> None:
    read(script, 2, "s6.14")


def not_found_after_created(script: Script) -> None:
    read(script, 2, None)


def update_not_found(script: Script) -> None:
    update(script, 2, "lost", type_="fail", status=404)


@pytest.mark.parametrize(
    "bug",
    [
        stale_list,
        stale_read,
        lost_update,
        refused_write_seen,
        seen_and_unseen,
        value_of_another,
        not_found_after_created,
        update_not_found,
    ],
)
def test_views_of_the_living_that_no_order_explains_are_violated(gadget: Contract, bug: Twist) -> None:
    violated(check(story(alive=bug).section(), gadget), "linearizable")


def read_again(script: Script) -> None:
    read(script, 2, "s7.14", pod="i-b")


def listed_again(script: Script) -> None:
    shown(script, 3, ODD, pod="i-b")


def deleted_again(script: Script) -> None:
    script.op("delete", 2, ODD, status=204)


def updated_again(script: Script) -> None:
    update(script, 2, "late")


@pytest.mark.parametrize("bug", [read_again, listed_again, deleted_again, updated_again])
def test_the_deleted_that_come_back_are_violated(gadget: Contract, bug: Twist) -> None:
    violated(check(story(gone=bug).section(), gadget), "linearizable")


def test_lists_alone_show_what_is_stale(guide: Contract) -> None:
    violated(check(guide_story(alive=shown_without).section(), guide), "linearizable")
    violated(check(guide_story(gone=listed_again).section(), guide), "linearizable")
    violated(check(guide_story(gone=deleted_again).section(), guide), "linearizable")


def shown_without(script: Script) -> None:
    shown(script, 3)


def test_one_session_for_two_creates_is_violated(gadget: Contract) -> None:
    def twice(script: Script) -> None:
        script.add("invoke", "create", 5, "", "another key")
        script.add("ok", "create", 5, ODD, {"id": ODD, "labels": labels("s7.6")})

    violated(check(story(alive=twice).section(), gadget), "linearizable")


def test_a_create_made_again_with_its_key_is_held(gadget: Contract) -> None:
    def again(script: Script) -> None:
        script.add("invoke", "create", 5, "", f"key {ODD}")
        script.add("ok", "create", 5, ODD, {"id": ODD, "labels": labels("s7.6")})

    held(check(story(alive=again).section(), gadget))


def test_a_session_that_was_seen_before_its_create_was_tried_again_is_held(gadget: Contract) -> None:
    def tried(script: Script) -> None:
        script.op("create", 5, "", "key t", type_="info", status=502)
        shown(script, 3, ODD, "t")
        script.add("invoke", "create", 5, "", "key t")
        script.add("ok", "create", 5, "t", {"id": "t"})
        script.op("delete", 5, "t")

    held(check(story(alive=tried).section(), gadget))


@pytest.mark.parametrize("token", ["s7.6", "doubtful"])
def test_an_update_of_unknown_outcome_may_be_seen_or_not(gadget: Contract, token: str) -> None:
    def doubtful(script: Script) -> None:
        update(script, 1, "doubtful", type_="info", status=502)
        read(script, 2, "s7.6")
        read(script, 3, token)

    held(check(story(alive=doubtful).section(), gadget))


def test_a_delete_of_unknown_outcome_may_have_happened_or_not(gadget: Contract) -> None:
    def made(script: Script, views: str) -> None:
        script.add("invoke", "create", 5, "", "key d")
        script.add("ok", "create", 5, "d", {"id": "d"})
        script.op("delete", 5, "d", type_="info", error="reset")
        for there in views:
            read(script, 2, "" if there == "+" else None, "d")

    held(check(story(gone=lambda script: made(script, "+--")).section(), gadget))
    violated(check(story(gone=lambda script: made(script, "+-+")).section(), gadget), "linearizable")


def test_labels_that_the_backend_adds_are_held(gadget: Contract) -> None:
    held(check(story(record={"managed-by": "backend"}).section(), gadget))


def test_a_record_without_labels_and_one_with_none_are_the_same(gadget: Contract) -> None:
    def unlabelled(script: Script) -> None:
        script.add("invoke", "create", 5, "", "key e")
        script.add("ok", "create", 5, "e", {"id": "e"})
        script.op("read", 2, "e", {"id": "e", "labels": None})
        script.op("read", 2, "e", {"id": "e", "labels": {}})
        script.op("delete", 5, "e")

    held(check(story(gone=unlabelled).section(), gadget))


@pytest.mark.parametrize("ids", [(), ("f",), ("g",), ("g", "f"), ("f", "g", "f")])
def test_a_paged_list_may_or_may_not_have_what_came_or_went_meanwhile(gadget: Contract, ids: tuple[str, ...]) -> None:
    def paged(script: Script) -> None:
        script.add("invoke", "list", 6)
        for id_ in ("f", "g"):
            script.add("invoke", "create", 5, "", f"key {id_}")
            script.add("ok", "create", 5, id_, {"id": id_})
        script.op("delete", 5, "f")
        script.add("ok", "list", 6, "", list(ids))
        script.op("delete", 5, "g")

    held(check(story(gone=paged).section(), gadget))


def test_a_paged_list_without_what_was_there_all_the_time_is_violated(gadget: Contract) -> None:
    def paged(script: Script) -> None:
        script.add("invoke", "list", 6)
        script.add("invoke", "create", 5, "", "key f")
        script.add("ok", "create", 5, "f", {"id": "f"})
        script.add("ok", "list", 6, "", ["f"])
        script.op("delete", 5, "f")

    violated(check(story(alive=paged).section(), gadget), "linearizable")


def test_a_session_that_a_list_has_twice_is_violated(gadget: Contract, guide: Contract) -> None:
    def twice(script: Script) -> None:
        shown(script, 3, ODD, ODD)

    violated(check(story(alive=twice).section(), gadget), "lists")
    violated(check(guide_story(alive=twice).section(), guide), "lists")


def strangers(*ids: str, creates: int = 0) -> Twist:
    def seen(script: Script) -> None:
        for number in range(creates):
            script.op("create", 5, "", f"doubtful {number}", type_="info", error="reset")
        shown(script, 3, ODD, *ids)

    return seen


def test_a_session_that_nobody_created_is_violated(gadget: Contract) -> None:
    violated(check(story(alive=strangers("nobody's")).section(), gadget), "lists")


def test_a_create_of_unknown_outcome_settles_one_unknown_session(gadget: Contract, guide: Contract) -> None:
    held(check(story(alive=strangers("one", creates=1)).section(), gadget))
    violated(check(story(alive=strangers("one", "two", creates=1)).section(), gadget), "lists")
    held(check(guide_story(alive=strangers("one", creates=1)).section(), guide))
    violated(check(guide_story(alive=strangers("one", "two", creates=1)).section(), guide), "lists")


def test_a_create_that_was_told_the_second_time_settles_nothing(gadget: Contract) -> None:
    def told(script: Script) -> None:
        script.op("create", 5, "", "key t", type_="info", status=502)
        script.add("invoke", "create", 5, "", "key t")
        script.add("ok", "create", 5, "t", {"id": "t"})
        shown(script, 3, ODD, "t", "nobody's")
        script.op("delete", 5, "t")

    violated(check(story(alive=told).section(), gadget), "lists")


def test_sessions_of_others_on_a_shared_target_are_held(gadget: Contract) -> None:
    section = story(alive=strangers("another's")).section()
    lines = [type(one)(one.t, "target", data={"replicas": 2}) if one.type == "target" else one for one in section.lines]
    held(check(type(section)(lines, section.source), gadget))


def test_a_replica_that_took_no_part_is_unknown(gadget: Contract) -> None:
    section = story().section()
    lines = [type(x)(x.t, x.type, x.op, x.process, x.session, x.value, x.pod and "i-a", x.data) for x in section.lines]
    unknown(check(type(section)(lines, section.source), gadget), "replicas")


def test_a_replica_that_breaks_is_violated(gadget: Contract) -> None:
    def broken(script: Script) -> None:
        update(script, 1, "broken", type_="info", status=500)

    violated(check(story(broken).section(), gadget), "answered")


def test_a_replica_that_is_too_busy_is_held(gadget: Contract) -> None:
    def busy(script: Script) -> None:
        update(script, 1, "busy", type_="info", status=503)

    held(check(story(busy).section(), gadget))


def test_too_few_operations_are_unknown(gadget: Contract) -> None:
    unknown(check(story(sessions=8).section(), gadget), "linearizable")


def test_operations_that_never_overlap_are_unknown(gadget: Contract) -> None:
    script = Script("shared-view")
    script.note("target", replicas=2, fresh=True)
    for number in range(500):
        script.add("invoke", "create", 1, "", f"key {number}")
        script.add("ok", "create", 1, f"s{number}", {"id": f"s{number}"}, pod="i-a")
        script.op("update", 1, f"s{number}", labels("x"))
        read(script, 2, "x", f"s{number}", pod="i-b")
        script.op("delete", 1, f"s{number}")
        shown(script, 3)
    unknown(check(script.section(), gadget), "overlapping")


def test_values_that_cannot_be_told_apart_are_unknown(gadget: Contract) -> None:
    def same(script: Script) -> None:
        update(script, 1, "s7.6")

    unknown(check(story(alive=same).section(), gadget), "linearizable")


def test_without_reads_and_updates_lists_are_judged(bare: Contract) -> None:
    http = replace(bare.http, read=None)
    judgement = check(story().section(), replace(bare, http=http))
    assert part(judgement, "replicas").verdict is Verdict.NOT_CLAIMED
    held(judgement)
