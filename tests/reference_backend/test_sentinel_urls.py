"""Which URLs name a Redis behind Sentinels."""

import pytest
from pydantic import ValidationError

from reference_backend.redis_sentinel import Service, parse
from reference_backend.settings import Settings


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("redis+sentinel://one:1,two:2/main", Service((("one", 1), ("two", 2)), "main", 0)),
        ("redis+sentinel://one/main/3", Service((("one", 26379),), "main", 3)),
        ("redis+sentinel://:a%40b@one:1/main", Service((("one", 1),), "main", 0, None, "a@b")),
        ("redis+sentinel://me:secret@one:1/main/", Service((("one", 1),), "main", 0, "me", "secret")),
        ("redis+sentinel://[::1]:5,[::2]/main", Service((("::1", 5), ("::2", 26379)), "main", 0)),
    ],
)
def test_a_url_names_sentinels_service_database_and_login(url: str, service: Service) -> None:
    assert parse(url) == service


@pytest.mark.parametrize("url", ["redis://one:1/0", "rediss://one:1/0"])
def test_other_schemes_name_a_server(url: str) -> None:
    assert parse(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:1",
        "redis+sentinel:///main",
        "redis+sentinel://one:1,/main",
        "redis+sentinel://one:x/main",
        "redis+sentinel://one:1/main/x",
    ],
)
def test_what_is_malformed_is_refused_with_the_form_that_is_right(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"write redis\+sentinel://"):
        parse(url)
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ValidationError, match=r"write redis\+sentinel://"):
        Settings()


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse("redis+sentinel://:secret@one:1/main"))
