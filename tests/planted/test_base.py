import os
import subprocess
import sys

import pytest

from limpet.contract import GUARANTEES
from planted import base, scaled

PUT_EACH_IN = """
import os
import sys
import warnings
from planted import base

where = sys.argv[1]
dead = []
for name, bug in base.load(where).items():
    child = os.fork()  # a process of its own for each, without a start of its own
    if child == 0:
        try:
            bug.plant()
        except BaseException as error:
            print(f"{name}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        dead.append(name)
sys.exit(f"not live: {dead}" if dead else 0)
"""


@pytest.mark.parametrize("where", ["backend", "ingress"])
def test_every_bug_still_finds_what_it_patches(where: str) -> None:
    surroundings = os.environ | {"PYTHONPATH": scaled.PYTHON_PATH}
    done = subprocess.run(
        [sys.executable, "-c", PUT_EACH_IN, where], env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_bugs_for_every_guarantee_that_the_reference_backend_claims() -> None:
    claimed = set(scaled.claimed())
    assert {bug.caught_by for bug in base.load().values()} >= claimed - {"replicas", "scaling"}
    assert len(base.load()) >= 36


def test_a_bug_is_judged_by_what_is_claimed() -> None:
    claimed = set(scaled.claimed())
    assert {b.name: b.caught_by for b in base.load().values() if not {b.caught_by, b.unrelated} <= claimed} == {}


def test_bugs_of_the_ingress_stand_where_no_replica_loads_them() -> None:
    for bug in base.load().values():
        assert bug.module.startswith("planted.bugs.ingress") is (bug.where == "ingress"), bug.name


def test_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(SystemExit, match=r"no bug 'nonsense' of the backend; there are: .*release-without-token"):
        base.put_in("nonsense", "backend")


def test_a_bug_of_the_ingress_is_not_for_a_replica() -> None:
    with pytest.raises(SystemExit, match="no bug 'cookie-dropped' of the backend"):
        base.put_in("cookie-dropped", "backend")


def nothing() -> None:
    """Does nothing."""


def silent() -> None: ...


def test_a_guarantee_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=f"no guarantee 'nonsense'; there are: {GUARANTEES[0]}"):
        base.plant(caught_by="nonsense", unrelated="identity")


def test_what_is_blamed_is_not_unrelated() -> None:
    with pytest.raises(ValueError, match="identity cannot be unrelated and blamed"):
        base.plant(caught_by="locking", unrelated="identity", also=("identity",))


def test_a_bug_without_a_story_is_refused() -> None:
    with pytest.raises(ValueError, match="silent has no docstring"):
        base.plant(caught_by="locking", unrelated="identity")(silent)


def test_a_second_bug_of_the_same_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BUGS", {})
    base.plant(caught_by="locking", unrelated="identity")(nothing)
    with pytest.raises(ValueError, match="two bugs are called nothing"):
        base.plant(caught_by="locking", unrelated="identity")(nothing)
