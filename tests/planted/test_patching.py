from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from planted.patching import edit, edit_script, replace
from reference_backend.scripts import Script

GREETING = "good morning"


class Doorman:
    def __init__(self) -> None:
        self.said = ""

    def greet(self, name: str) -> str:
        self.said = f"{GREETING} {name}"
        return self.said

    @property
    def mood(self) -> str:
        return "bright"

    @staticmethod
    def rule() -> str:
        return "knock"

    @asynccontextmanager
    async def door(self) -> AsyncIterator[str]:
        try:
            yield "open"
        finally:
            self.said = "closed"


@pytest.fixture
def doorman() -> type[Doorman]:
    """A class that each test may spoil."""
    return type("Doorman", (), dict(vars(Doorman)))


def test_a_method_is_changed_and_still_knows_its_module(doorman: type[Doorman]) -> None:
    edit(doorman, "greet", "return self.said", "return self.said.upper()")
    assert doorman().greet("Ann") == "GOOD MORNING ANN"
    assert Doorman().greet("Ann") == "good morning Ann"


def test_a_changed_method_can_be_changed_again(doorman: type[Doorman]) -> None:
    edit(doorman, "greet", "return self.said", "return self.said.upper()")
    edit(doorman, "greet", "upper()", "title()")
    assert doorman().greet("Ann") == "Good Morning Ann"


async def test_decorators_are_applied_again(doorman: type[Doorman]) -> None:
    edit(doorman, "mood", "bright", "dark")
    edit(doorman, "rule", "knock", "ring")
    edit(doorman, "door", "closed", "ajar")
    one = doorman()
    assert (one.mood, one.rule()) == ("dark", "ring")
    async with one.door() as state:
        assert state == "open"
    assert one.said == "ajar"


def test_what_is_not_there_any_more_cannot_be_changed(doorman: type[Doorman]) -> None:
    with pytest.raises(ValueError, match="'good night' stands 0 times in greet"):
        edit(doorman, "greet", "good night", "")


def test_what_is_there_twice_cannot_be_changed(doorman: type[Doorman]) -> None:
    with pytest.raises(ValueError, match=r"'self\.said' stands 2 times in greet"):
        edit(doorman, "greet", "self.said", "self.told")


def test_an_attribute_that_is_not_there_cannot_be_replaced(doorman: type[Doorman]) -> None:
    with pytest.raises(AttributeError):
        replace(doorman, "wave", print)


def test_a_changed_script_is_sent_by_another_digest() -> None:
    script = Script("return 1")
    edit_script(script, "1", "2")
    assert (script.body, script.sha) == ("return 2", Script("return 2").sha)


def test_a_script_without_the_text_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="'3' stands 0 times in the script"):
        edit_script(Script("return 1"), "3", "2")
