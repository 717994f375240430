"""Tasks end, also those that lose a cancellation."""

import asyncio
import logging

import pytest

from reference_backend.ending import end


async def _for_ever(lost: int) -> None:
    """Takes this many cancellations for something else."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if not lost:
                raise
            lost -= 1


async def test_a_task_that_loses_its_cancellation_is_ended_and_named(caplog: pytest.LogCaptureFixture) -> None:
    tasks = [asyncio.create_task(_for_ever(lost), name=f"loses {lost}") for lost in (0, 1)]
    await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        await end(tasks)
    assert all(task.cancelled() for task in tasks)
    assert [record.getMessage() for record in caplog.records] == ["loses 1 did not heed its cancellation; again"]


async def test_what_is_over_already_is_left_as_it_is() -> None:
    over = asyncio.create_task(asyncio.sleep(0, "told"))
    await over
    await end([over])
    assert over.result() == "told"
