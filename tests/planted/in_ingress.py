"""A pytest plugin that plants a bug of the ingress in the harness: PYTEST_PLUGINS=planted.in_ingress, PLANTED_BUG=NAME.

Environment variables, since they reach the workers of a run as well.
"""

import os

from planted import base

NAME = os.environ["PLANTED_BUG"]

base.put_in(NAME, "ingress")


def pytest_report_header() -> str:
    """In the run's log; shows that the bug is in."""
    return f"planted: {NAME}"
