from dataclasses import replace
from pathlib import Path

import pytest
from checkers import written

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Contract


@pytest.fixture(autouse=True)
def _judgements() -> None:
    written.begin()


@pytest.fixture(scope="session")
def gadget() -> Contract:
    return contracts.load(shipped.contract("gadget"))


@pytest.fixture(scope="session")
def guide() -> Contract:
    """The contract of a backend of the older kind."""
    return contracts.load(shipped.contract("guide"))


@pytest.fixture(scope="session")
def bare(gadget: Contract) -> Contract:
    """A contract that offers no more than it must."""
    http = replace(gadget.http, instance_header=None, instances=None, events=None, update=None, update_field=None)
    empty = contracts.Redis()
    return replace(gadget, path=Path("bare.toml"), http=http, redis=empty, log=contracts.Log(), websocket=None)
