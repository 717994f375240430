"""A picture has a column for each replica, short names, marks before what went wrong, and fits a terminal."""

import pytest
from checkers.redis_story import A, B
from races.race_story import RaceStory

from limpet.contract import Contract
from limpet.history import Line
from limpet.races.picture import draw


@pytest.fixture
def foreign() -> tuple[list[Line], tuple[int, int]]:
    """A's lock expires, B takes it, and A removes it."""
    one = RaceStory(("A", "update"), ("B", "delete"))
    for lane, process in (("A", 1), ("B", 2)):
        one.note("schedule", "call", call=process - 1, lane=lane, process=process)
    one.do(A, "SET lock:session:s token-of-a NX PX 10000")
    one.expires()
    taken = one.do(B, "SET lock:session:s token-of-b NX PX 10000")
    one.script(
        A, "0123456789012345678901234567890123456789 2 lock:session:s session:s token-of-a", "GET lock:session:s"
    )
    released = one.do(A, "DEL lock:session:s", reply=1)
    one.do(B, "GET session:s", reply="x" * 100)
    one.update(1, "a")
    return list(one.lines()), (taken, released)


def column(picture: str, head: str) -> str:
    """What stands under a head, in one line."""
    lines = picture.splitlines()
    begin = lines[0].index(head)
    end = next((place for place in range(begin, len(lines[1])) if lines[1][place] == " "), None)
    return " ".join(" ".join(line[begin:end] for line in lines[2:]).split())


def test_each_replica_has_its_column_and_the_expiry_is_in_that_of_redis(
    gadget: Contract, foreign: tuple[list[Line], tuple[int, int]]
) -> None:
    picture = draw(foreign[0], gadget)
    assert picture.splitlines()[0].split() == ["step", "A", A, "B", B, "Redis"]
    assert column(picture, "Redis") == "lock expires"
    assert column(picture, "B b").startswith("SET lock token-B1 NX PX 10000 -> OK GET session")
    assert column(picture, "A b").startswith("SET lock token-A1 NX PX 10000 -> OK EVALSHA 012345 lock session token-A1")


def test_what_shows_the_violation_is_marked_and_what_comes_behind_it_is_left_out(
    gadget: Contract, foreign: tuple[list[Line], tuple[int, int]]
) -> None:
    lines, shows = foreign
    picture = draw(lines, gadget, shows)
    marked = [line for line in picture.splitlines() if line.startswith(">")]
    assert ["SET lock token-B1" in marked[0], "DEL lock" in marked[1], len(marked)] == [True, True, 2]
    assert "GET session" not in picture
    assert "update: ok" in column(picture, "A b")


def test_what_a_replica_does_for_another_is_told(gadget: Contract) -> None:
    one = RaceStory(("A", "update"), ("B", "delete"))
    one.do(A, "GET lock:session:s", reply=None)
    one.do("backend-3", "GET session:s", reply=None)
    (*_, first, second) = one.lines()[:-1]
    first.data["lane"] = "B"
    picture = draw(one.lines()[:-1], gadget)
    assert column(picture, "A b").startswith("(for B) GET lock -> nil")
    assert second.data["lane"] == "A"
    assert "(backend-3) GET session -> nil" in column(picture, "A b")


@pytest.mark.parametrize("width", [80, 118])
def test_it_fits(gadget: Contract, foreign: tuple[list[Line], tuple[int, int]], width: int) -> None:
    assert max(map(len, draw(foreign[0], gadget, width=width).splitlines())) <= width
