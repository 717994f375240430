"""Suites under pytest: `@pytest.mark.guarantee("stickiness")` on a test that takes the fixture `stack`.

The test acts and this plugin judges: when the test's body is over, its history is closed and read by the checker of
its guarantee. `violated` and `unknown` fail the test, `unsupported` and `not claimed` skip it with the reason. The
verdict of the whole run is written by `limpet.collector`, in the process that the user sees.
"""

import os
import signal
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from limpet import contract as contracts
from limpet import history as histories
from limpet import runner, seeds, shipped
from limpet.collector import ERROR, JUDGEMENT, Collector
from limpet.errors import DeadlineError, LimpetError
from limpet.owner import OWNER_PID, end_with_owner, owner_pid
from limpet.runner import Settings
from limpet.verdict import Judgement, Verdict
from limpet.workloads.stack import Stack

SETTINGS = pytest.StashKey[Settings]()
GUARANTEES = pytest.StashKey[tuple[str, ...]]()
ONE_IS_ALONE = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run; `limpet verify` has the same."""
    group = parser.getgroup("limpet", "Limpet: guarantees of a scaled backend")
    group.addoption("--target", choices=("local",), default="local", help="where the backend runs (local)")
    group.addoption("--contract", default="gadget", metavar="FILE", help="contract file, or the name of a shipped one")
    group.addoption("--replicas", type=int, default=2, metavar="N", help="declared number of replicas (2)")
    group.addoption("--seed", type=int, default=None, metavar="N", help="seed of everything random (a new one)")
    group.addoption("--ingress-port", type=int, default=None, metavar="N", help="of the first stack; others follow on")
    group.addoption("--run-dir", default=None, metavar="DIR", help="run directory (runs/<UTC time>-pytest)")
    group.addoption("--guarantees", default=None, metavar="A,B", help="judge these; each gets a row in the verdict")
    group.addoption("--require", default="", metavar="A,B", help="fail (exit 2) unless these are held")


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; in the process that the user sees, collect the verdict."""
    config.addinivalue_line(
        "markers",
        "guarantee(name, needs=(), cost=1, alone=False): judged by the checker of that guarantee; what the target must "
        "be able to do; how long it takes against the others; whether no other suite may run until it lets them",
    )
    end_with_owner()
    given: dict[str, Any] = getattr(config, "workerinput", {})
    if OWNER_PID in os.environ and not given:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, but not this
    try:
        contract = contracts.load(shipped.contract(config.getoption("contract")))
    except LimpetError as error:
        raise pytest.UsageError(str(error)) from error
    directory = given.get("limpet_directory") or config.getoption("run_dir") or runner.new_directory("pytest")
    seed = given.get("limpet_seed", config.getoption("seed"))
    port: int | None = config.getoption("ingress_port")
    config.stash[SETTINGS] = Settings(
        contract=contract,
        directory=Path(directory).absolute(),
        target=config.getoption("target"),
        replicas=config.getoption("replicas"),
        seed=seeds.fresh() if seed is None else seed,
        port=None if port is None else port + _worker_number(given),
        owner_pid=owner_pid(),
    )
    asked = config.getoption("guarantees")
    config.stash[GUARANTEES] = tuple(asked.split(",")) if asked else ()
    if not given:
        required = tuple(name for name in config.getoption("require").split(",") if name)
        command = os.environ.get("LIMPET_COMMAND", "pytest " + " ".join(config.invocation_params.args))
        collector = Collector(config.stash[SETTINGS], config.stash[GUARANTEES], required, command)
        config.pluginmanager.register(collector, "limpet collector")


def _worker_number(given: dict[str, Any]) -> int:
    return int(str(given.get("workerid", "gw0")).removeprefix("gw"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist what must be the same in all of them."""
    settings = node.config.stash[SETTINGS]
    node.workerinput["limpet_directory"] = str(settings.directory)
    node.workerinput["limpet_seed"] = settings.seed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for; the longest first, so that workers end together."""
    asked = config.stash[GUARANTEES]

    def marked(item: pytest.Item) -> pytest.Mark | None:
        return item.get_closest_marker("guarantee")

    if asked:
        left_out = [item for item in items if (mark := marked(item)) and mark.args[0] not in asked]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: _order(marked(item)))
    claimed = config.stash[SETTINGS].contract.claims.guarantees
    config.stash[ONE_IS_ALONE] = any(
        mark.kwargs.get("alone") and mark.args[0] in claimed for item in items if (mark := marked(item))
    )


def _order(mark: pytest.Mark | None) -> tuple[bool, float]:
    """What runs alone comes first: the others fill the time when it need not be alone any more."""
    return (not mark.kwargs.get("alone"), -float(mark.kwargs.get("cost", 1))) if mark else (True, 0.0)


@pytest_asyncio.fixture(loop_scope="session")
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """A fresh running stack for the guarantee of the test; skipped when it is not claimed or cannot be shown."""
    settings = request.config.stash[SETTINGS]
    mark = request.node.get_closest_marker("guarantee")
    if mark is None:
        raise pytest.UsageError(f"{request.node.nodeid} takes `stack` and needs @pytest.mark.guarantee(name)")
    guarantee = mark.args[0]
    if guarantee not in settings.contract.claims.guarantees:
        _set_to(request.node, guarantee, Verdict.NOT_CLAIMED, f"{settings.contract.path.name} does not claim it")
    alone = mark.kwargs.get("alone", False)
    behind = request.config.stash[ONE_IS_ALONE]
    async with (
        runner.turn(settings, alone=alone, behind=behind) as let_others_begin,
        runner.stack(settings, guarantee) as running,
    ):
        running.let_others_begin = let_others_begin
        can = running.target.capabilities()
        for need in mark.kwargs.get("needs", ()):
            if can.get(need, "this target cannot") != "":
                _set_to(request.node, guarantee, Verdict.UNSUPPORTED, f"{need}: {can.get(need, 'not offered')}")
        yield running


def _set_to(item: pytest.Item, guarantee: str, verdict: Verdict, reason: str) -> None:
    _report(item, Judgement(guarantee, reason=reason, set_to=verdict))
    pytest.skip(f"{verdict}: {reason}")


def _report(item: pytest.Item, judgement: Judgement) -> None:
    item.user_properties.append((JUDGEMENT, msgspec.json.encode(judgement, enc_hook=str).decode()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run the body, then judge its history."""
    running: Stack | None = getattr(item, "funcargs", {}).get("stack")
    try:
        result = yield
    except DeadlineError as error:  # what the suite waited for never came: the record shows how far it got
        if running is None:
            raise
        running.history.note("stopped", why=str(error))
        result = None
    if running is not None:
        _judge(item, running)
    return result


def _judge(item: pytest.Item, running: Stack) -> None:
    running.history.close()
    judgement = runner.judge(histories.read(running.history.path), running.contract)
    _report(item, judgement)
    if judgement.verdict is not Verdict.HELD:
        reasons = [f"{part.name}: {part.reason}" for part in judgement.parts if part.reason and not part.missing]
        text = "\n  ".join([f"{judgement.guarantee} {judgement.verdict}", *reasons])
        pytest.fail(text, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Tell a failure of the harness or its surroundings from a verdict."""
    report: pytest.TestReport = yield
    error = call.excinfo.value if call.excinfo else None
    judged = isinstance(error, pytest.fail.Exception | pytest.skip.Exception)
    if error is not None and not judged and item.get_closest_marker("guarantee"):
        text = str(error) if isinstance(error, LimpetError) else f"{type(error).__name__}: {error}"
        report.user_properties.append((ERROR, text))
        if isinstance(error, LimpetError):
            report.longrepr = text
    return report
