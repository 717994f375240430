from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from links.speaking import Speaking, speaking
from links.upstream import Upstream, relayed


@pytest_asyncio.fixture
async def upstream(tmp_path: Path) -> AsyncIterator[Upstream]:
    async with relayed(tmp_path) as upstream:
        yield upstream


@pytest_asyncio.fixture
async def redis_links(tmp_path: Path) -> AsyncIterator[Speaking]:
    async with speaking(tmp_path) as there:
        yield there
