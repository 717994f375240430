"""A run's exit code and its last line follow from its judgements and from what became of the harness."""

from collections.abc import Callable, Mapping

import pytest

from limpet.report.run import Run, line
from limpet.verdict import Judgement

RunOf = Callable[..., Run]


@pytest.mark.parametrize(
    ("verdicts", "changes", "code"),
    [
        (["held"], {}, 0),
        (["held", "unsupported", "not claimed"], {}, 0),
        (["held", "unknown"], {}, 2),
        (["held", "unknown", "violated"], {}, 1),
        ([], {}, 2),
        (["unsupported", "not claimed"], {}, 2),
        (["held"], {"required": ("replicas",)}, 0),
        (["held", "unsupported"], {"required": ("scaling",)}, 2),
        (["held"], {"required": ("takeover",)}, 2),
        (["violated"], {"required": ("takeover",)}, 1),
        (["held"], {"error": "traefik did not start"}, 3),
        (["unknown"], {"error": "traefik did not start"}, 3),
        ([], {"error": "traefik did not start"}, 3),
        (["violated"], {"error": "traefik did not start"}, 1),
        (["held"], {"interrupted": True}, 130),
        (["held", "unknown"], {"interrupted": True}, 130),
        (["held"], {"interrupted": True, "error": "the stack was gone"}, 130),
        (["violated"], {"interrupted": True, "error": "the stack was gone"}, 1),
    ],
)
def test_the_exit_code_follows_the_table(
    run_of: RunOf, rows: Mapping[str, Judgement], verdicts: list[str], changes: dict[str, object], code: int
) -> None:
    assert run_of(*(rows[verdict] for verdict in verdicts), **changes).exit_code == code


def test_the_last_line_counts_all_five_verdicts(every_kind: Run) -> None:
    assert line(every_kind) == "limpet: held 1, unknown 1, violated 1, unsupported 1, not claimed 1"


def test_the_last_line_of_an_empty_run_counts_nothing(run_of: RunOf) -> None:
    assert line(run_of()) == "limpet: held 0, unknown 0, violated 0, unsupported 0, not claimed 0"


def test_unmet_is_what_was_required_and_is_not_held(run_of: RunOf, rows: Mapping[str, Judgement]) -> None:
    run = run_of(rows["held"], rows["unsupported"], required=("replicas", "scaling", "takeover"))
    assert run.unmet == ("scaling", "takeover")
