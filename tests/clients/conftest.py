from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from links.speaking import Speaking, speaking


@pytest_asyncio.fixture
async def redis_links(tmp_path: Path) -> AsyncIterator[Speaking]:
    async with speaking(tmp_path) as there:
        yield there
