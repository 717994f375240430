"""Gathers the judgements of a pytest run, in the process that the user sees, and writes the verdict."""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
import pytest

from limpet.clock import NS_PER_S, now_ns
from limpet.contract import GUARANTEES
from limpet.report.run import Run
from limpet.report.write import write
from limpet.runner import Settings
from limpet.verdict import Judgement, Verdict

JUDGEMENT = "limpet-judgement"
ERROR = "limpet-error"
PROGRESS_FD = "LIMPET_PROGRESS_FD"


class Collector:
    """A pytest plugin of the controller (or of the only process).

    Args:
        settings: of the run.
        guarantees: those that must have a row in the verdict; empty: those that were run.
        required: those that must be held.
        command: what repeats the run.
    """

    def __init__(
        self, settings: Settings, guarantees: tuple[str, ...], required: tuple[str, ...], command: str
    ) -> None:
        self._settings = settings
        self._guarantees = guarantees
        self._required = required
        self._command = command
        self._rows: dict[str, Judgement] = {}
        self._errors: list[str] = []
        self._interrupted = False
        self._started = datetime.now(UTC)
        self._started_ns = now_ns()
        fd = os.environ.get(PROGRESS_FD)
        self._progress = int(fd) if fd else None

    def pytest_report_header(self) -> list[str]:
        """The seed, so that the run can be repeated."""
        return [f"limpet: contract {self._settings.contract.name}, seed {self._settings.seed}"]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A suite begins."""
        self._tell(begin=nodeid.rpartition("::test_")[2].replace("_", "-"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A step of a suite is over; its judgement travels with the report."""
        for name, value in report.user_properties:
            if name == ERROR and str(value) not in self._errors:
                self._errors.append(str(value))
            if name != JUDGEMENT or not isinstance(value, str):
                continue
            judgement = msgspec.json.decode(value, type=Judgement)
            if judgement.guarantee not in self._rows:
                self._rows[judgement.guarantee] = judgement
                self._tell(
                    end=judgement.guarantee, verdict=judgement.verdict, duration_s=round(judgement.duration_s, 1)
                )
        if report.failed and report.when not in ("setup", "call", "teardown"):  # a worker that crashed
            self._errors.append(str(report.longrepr))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A suite that cannot even be read is a failure of the harness."""
        if report.failed:
            reason = str(report.longrepr).strip().splitlines()[-1]
            self._errors.append(f"{report.nodeid} cannot be read: {reason.removeprefix('E').strip()}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """The user stopped the run; pytest stops one by itself when suites could not be read."""
        self._interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl(tryfirst=True)  # before pytest-xdist waits for its workers
    def pytest_sessionfinish(self) -> None:
        """Write the verdict and the reports; nothing when no guarantee was run or asked for."""
        if not (self._rows or self._errors or self._guarantees):
            return
        self._settings.directory.mkdir(parents=True, exist_ok=True)
        write(self._run(), self._settings.directory)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the record lies."""
        if self._rows:
            terminalreporter.write_line(f"limpet: run directory {self._settings.directory}")

    def _run(self) -> Run:
        settings = self._settings
        names = self._guarantees or tuple(name for name in GUARANTEES if name in self._rows)
        return Run(
            what="verify",
            version=version("limpet"),
            seed=settings.seed,
            contract=settings.contract.name,
            contract_path=settings.contract.path.name,
            target=settings.target,
            replicas=settings.replicas,
            started=self._started.isoformat(timespec="seconds"),
            duration_s=round((now_ns() - self._started_ns) / NS_PER_S, 1),
            judgements=tuple(self._rows.get(name) or self._absent(name) for name in names),
            required=self._required,
            command=self._command,
            error=self._error(),
            interrupted=self._interrupted,
        )

    def _error(self) -> str:
        """The first failure, and how many more there were: stacks that cannot start fail alike."""
        more = len(self._errors) - 1
        return "".join(self._errors[:1]) + (f" (and {more} more; see logs/pytest.log)" if more > 0 else "")

    def _absent(self, guarantee: str) -> Judgement:
        """The row of a guarantee that no suite judged."""
        if guarantee not in self._settings.contract.claims.guarantees:
            reason = f"{self._settings.contract.path.name} does not claim it"
            return Judgement(guarantee, reason=reason, set_to=Verdict.NOT_CLAIMED)
        reason = "its suite did not come to an end" if self._errors or self._interrupted else "no suite shows it"
        return Judgement(guarantee, reason=reason, set_to=Verdict.UNKNOWN)

    def _tell(self, **event: Any) -> None:
        if self._progress is not None:
            with suppress(OSError):  # whoever watched has gone
                os.write(self._progress, json.dumps(event).encode() + b"\n")
