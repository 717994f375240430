"""Reading what the doctor found."""

from limpet.doctor.base import Cause
from limpet.doctor.walk import Report


def found(report: Report) -> set[str]:
    """Names of what was found."""
    return {cause.name for cause in report.causes}


def only(report: Report, name: str) -> Cause:
    """The one cause that a walk found."""
    assert found(report) == {name}, [cause.what for cause in report.causes]
    assert len(report.causes) == 1
    return report.causes[0]
