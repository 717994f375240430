"""Figures, reasons and commands are put into words that can be read, and printed anywhere."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.report.run import Run
from limpet.report.wording import clean, clipped, figures, one_line, remarks, repeat, took, troubles
from limpet.verdict import Judgement, Part, Verdict

RunOf = Callable[..., Run]


@given(st.text())
def test_cleaned_text_is_printable_but_for_line_ends_and_tabs(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in clean(text))
    clean(text).encode()  # no lone surrogates


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[31m", r"a\x1b[31m"), ("\ud800", r"\ud800"), ("ünï ✓\n", "ünï ✓\n")]
)
def test_what_is_not_printable_is_written_out(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_one_line_has_no_line_ends() -> None:
    assert one_line(" a\r\n\n b\tc ") == r"a\r b c"


def test_clipped_text_says_how_much_is_missing() -> None:
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abcdef", 2) == "ab... (4 characters more)"


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({}, ""),
        ({"sessions": 50, "requests": 12000}, "50 sessions, 12,000 requests"),
        ({"distinct_ids": 10}, "10 distinct ids"),
        ({"worst_gap_ms": 89}, "worst gap 89 ms"),
        ({"reconnect_ms_max": 89.04}, "reconnect max 89 ms"),
        ({"spread": 0.51234}, "spread 0.512"),
        ({"sticky": True}, "sticky yes"),
        ({"cookie": "HttpOnly"}, "cookie HttpOnly"),
        ({"per replica": {"a": 3, "b": 4}, "ports": [1, 2]}, "per replica a 3 / b 4, ports 1 / 2"),
    ],
)
def test_figures_read_as_a_person_would_say_them(evidence: Mapping[str, Any], words: str) -> None:
    assert figures(evidence) == words


@pytest.mark.parametrize(("duration_s", "words"), [(0.8401, "0.84 s"), (12.34, "12.3 s"), (125.2, "2 min 5 s")])
def test_durations_have_three_figures_at_most(duration_s: float, words: str) -> None:
    assert took(duration_s) == words


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("limpet verify --seed 71", "limpet verify --only locking --seed 71"),
        ("limpet verify --only replicas --only=identity --seed 71", "limpet verify --only locking --seed 71"),
        ("limpet verify --contract 'my own.toml'", "limpet verify --only locking --contract 'my own.toml'"),
        ("", "limpet verify --only locking --seed 71"),
        ("limpet 'verify", "limpet verify --only locking --seed 71"),
    ],
)
def test_one_guarantee_is_repeated_by_the_same_command(run_of: RunOf, command: str, again: str) -> None:
    assert repeat(run_of(command=command), "locking") == again


def test_a_hostile_name_stays_one_word_of_the_command(run_of: RunOf) -> None:
    assert shlex.split(repeat(run_of(), "a; rm -rf b"))[3] == "a; rm -rf b"


def test_a_held_guarantee_needs_no_remark(rows: Mapping[str, Judgement]) -> None:
    assert remarks(rows["held"]) == []


def test_every_other_part_is_named_with_its_reason() -> None:
    parts = (
        Part("a", "starts", 1, 1),
        Part("b", "starts", 3, 10),
        Part("c", doubt="the checker ran out of budget"),
        Part("d", missing="no http.read"),
    )
    said = [(remark.about, remark.kind, remark.reason) for remark in remarks(Judgement("identity", parts))]
    assert said == [
        ("identity / b", "unknown", "not exercised enough: 3 of 10 starts"),
        ("identity / c", "unknown", "the checker ran out of budget"),
        ("identity / d", "cannot be shown", "no http.read"),
    ]


@pytest.mark.parametrize(
    ("parts", "reason"), [((), "it was not judged"), ((Part("a", missing="no key"),), "none of its parts can be shown")]
)
def test_a_guarantee_with_nothing_to_judge_says_so(parts: tuple[Part, ...], reason: str) -> None:
    assert remarks(Judgement("identity", parts))[0].reason == reason


def test_a_good_run_has_no_troubles(run_of: RunOf, rows: Mapping[str, Judgement]) -> None:
    assert troubles(run_of(rows["held"], rows["not claimed"], required=("replicas",))) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"error": "traefik is missing"}, "failed"),
        ({"interrupted": True}, "interrupted"),
        ({"required": ("scaling",)}, "required"),
        ({}, Verdict.UNKNOWN),
    ],
)
def test_what_ails_a_run_as_a_whole_is_named(run_of: RunOf, changes: dict[str, object], kind: str) -> None:
    assert [remark.kind for remark in troubles(run_of(**changes))] == [kind]
