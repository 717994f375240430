from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from checkers.redis_story import unfenced
from links.speaking import Speaking, speaking

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Contract


@pytest.fixture(scope="session")
def gadget() -> Contract:
    return contracts.load(shipped.contract("gadget"))


@pytest.fixture(scope="session")
def guide(gadget: Contract) -> Contract:
    """The same backend without fences."""
    return unfenced(gadget)


@pytest_asyncio.fixture
async def redis_links(tmp_path: Path) -> AsyncIterator[Speaking]:
    async with speaking(tmp_path) as there:
        yield there
