from collections.abc import Callable

import pytest
from checkers.expect import held, part, unknown, violated
from checkers.script import Script, pod
from msgspec.structs import replace

from limpet.checkers.stickiness import check
from limpet.contract import Contract
from limpet.verdict import Verdict

COOKIE = "backend-session=0123456789abcdef; Path=/; HttpOnly; SameSite=Lax"


def story(
    *,
    clients: int = 50,
    home: Callable[[int], str] = lambda n: "ab"[n % 2],
    wanders: int | None = None,
    socket: Callable[[str], str] = lambda home: home,
    cookie: str | None = COOKIE,
    comes_back_to: Callable[[str], str] = lambda home: home if home == "b" else "c",
) -> Script:
    script = Script("stickiness")
    script.note("pods", pods=[pod("a"), pod("b")])
    for number in range(clients):
        process, place = number + 1, home(number)
        for request in range(19):
            at = "ab".replace(place, "") if number == wanders and request == 7 else place
            script.op("request", process, pod=f"i-{at}", **({"set_cookie": cookie} if cookie and request == 0 else {}))
        session = f"s{number}"
        script.op("create", process, session, pod=f"i-{place}")
        script.note("socket", process=process, session=session)
        script.op("connect", 1000 + number, session, pod=f"i-{socket(place)}")
        script.op("delete", process, session, pod=f"i-{place}")
    for number in range(5):
        script.op("forged", 2000 + number, pod="i-a", **({"set_cookie": cookie} if cookie else {}))
    script.note("pods", pods=[pod("b"), pod("c")])
    for number in range(clients):
        back = comes_back_to(home(number))
        script.op("returns", number + 1, pod=f"i-{back}", **({"set_cookie": cookie} if back == "c" and cookie else {}))
        script.op("returned", number + 1, pod=f"i-{back}")
    return script


def test_clients_that_stay_are_held(gadget: Contract) -> None:
    held(check(story().section(), gadget))


def test_a_random_spread_within_three_sigma_is_held(gadget: Contract) -> None:
    held(check(story(home=lambda n: "a" if n < 33 else "b").section(), gadget))


def test_a_spread_beyond_three_sigma_is_violated(gadget: Contract) -> None:
    violated(check(story(home=lambda n: "a" if n < 37 else "b").section(), gadget), "spread")


def test_one_client_that_wanders_once_is_violated(gadget: Contract) -> None:
    violated(check(story(wanders=3).section(), gadget), "HTTP")


def test_a_socket_on_another_replica_is_violated(gadget: Contract) -> None:
    violated(check(story(socket=lambda home: "ab".replace(home, "")).section(), gadget), "WebSocket")


def test_no_cookie_is_violated(gadget: Contract) -> None:
    judgement = check(story(cookie=None).section(), gadget)
    violated(judgement, "cookie", "forged cookie", "dead cookie")


@pytest.mark.parametrize("lacking", ["HttpOnly", "SameSite=Lax", "Path=/"])
def test_a_cookie_without_an_attribute_is_violated(gadget: Contract, lacking: str) -> None:
    violated(check(story(cookie=COOKIE.replace(f"; {lacking}", "")).section(), gadget), "cookie")


def test_more_attributes_in_another_order_are_held(gadget: Contract) -> None:
    held(check(story(cookie="backend-session=x; secure; samesite=lax; path=/; httponly; Max-Age=9").section(), gadget))


def test_a_client_of_a_living_replica_that_moves_when_another_left_is_violated(gadget: Contract) -> None:
    violated(check(story(comes_back_to=lambda _: "c").section(), gadget), "dead cookie")


def test_a_client_of_the_replica_that_left_that_wanders_is_violated(gadget: Contract) -> None:
    script = story()
    script.op("returns", 1, pod="i-c", set_cookie=COOKIE)
    script.op("returned", 1, pod="i-b")
    judgement = check(script.section(), gadget)
    violated(judgement, "dead cookie")
    assert "from i-c to i-b" in part(judgement, "dead cookie").reason


def test_a_replica_that_left_with_all_its_clients_forgotten_is_unknown(gadget: Contract) -> None:
    section = story().section()
    lines = [line for line in section.lines if line.op not in ("returns", "returned")]
    unknown(check(type(section)(lines, section.source), gadget), "dead cookie")


def test_a_forged_cookie_that_is_kept_is_violated(gadget: Contract) -> None:
    script = story()
    script.op("forged", 3000, pod="i-a")
    violated(check(script.section(), gadget), "forged cookie")


def test_a_forged_cookie_that_gets_no_answer_is_violated(gadget: Contract) -> None:
    script = story()
    script.op("forged", 3000, type_="fail", status=502)
    violated(check(script.section(), gadget), "no errors")


def test_all_clients_at_one_of_two_replicas_is_violated(gadget: Contract) -> None:
    judgement = check(story(home=lambda _: "a", comes_back_to=lambda _: "c").section(), gadget)
    violated(judgement, "spread")
    assert "[0, 50]" in part(judgement, "spread").reason


def test_one_replica_alone_has_all_clients_and_is_held(gadget: Contract) -> None:
    script = story(home=lambda _: "a", comes_back_to=lambda _: "c")
    section = script.section()
    one = [replace(line, data={"pods": [pod("c" if no > 9 else "a")]}) if line.type == "pods" else line
           for no, line in enumerate(section.lines)]  # fmt: skip
    held(check(type(section)(one, section.source), gadget))


def test_a_socket_from_a_replica_that_does_not_name_itself_is_violated(gadget: Contract) -> None:
    script = story()
    script.op("request", 900, pod="i-a", set_cookie=COOKIE)
    script.note("socket", process=900, session="nameless")
    script.op("connect", 901, "nameless", pod="")
    violated(check(script.section(), gadget), "WebSocket")


def test_a_502_is_violated(gadget: Contract) -> None:
    script = story()
    script.op("request", 1, type_="fail", status=502)
    violated(check(script.section(), gadget), "no errors")


def test_a_socket_refused_as_being_elsewhere_is_violated(gadget: Contract) -> None:
    script = story()
    script.op("connect", 5000, "s", type_="fail", status=502, text="Session is on a different backend instance")
    judgement = check(script.section(), gadget)
    violated(judgement, "no errors")
    assert "different backend instance" in part(judgement, "no errors").reason


def test_too_few_clients_are_unknown(gadget: Contract) -> None:
    unknown(check(story(clients=20).section(), gadget), "HTTP", "WebSocket", "cookie", "spread", "no errors")


def test_without_an_instance_header_only_what_can_be_shown_counts(bare: Contract) -> None:
    judgement = check(story().section(), bare)
    assert part(judgement, "HTTP").verdict is Verdict.NOT_CLAIMED
    held(judgement)


def test_a_backend_that_names_no_replica_is_judged_by_the_owners_of_what_it_made(guide: Contract) -> None:
    def told(*, wanders: bool) -> Script:
        script = Script("stickiness")
        script.note("pods", pods=[pod("a"), pod("b")])
        for number in range(50):
            place = "ab"[number % 2]
            for visit in range(20):
                at = "ab".replace(place, "") if wanders and (number, visit) == (3, 7) else place
                session = f"s{number}-{visit}"
                script.op("request", number + 1, session, **({"set_cookie": COOKIE} if visit == 0 else {}))
                script.op("look", 999, session, {"owners": [f"i-{at}"]}, step="who")
        return script

    right, wrong = (check(told(wanders=wanders).section(), guide) for wanders in (False, True))
    assert part(right, "HTTP").verdict is Verdict.HELD
    violated(wrong, "HTTP")
