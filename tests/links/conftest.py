from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from links.upstream import Upstream, relayed


@pytest_asyncio.fixture
async def upstream(tmp_path: Path) -> AsyncIterator[Upstream]:
    async with relayed(tmp_path) as upstream:
        yield upstream
