"""A provider's word that a device is dead, said of a push that was tried again later: it is owed to the server."""

import asyncio

import pytest

from tests.delivery.worker.test_due_delivery import Worker, worker

__all__ = ["worker"]


@pytest.mark.parametrize(("seconds", "owed"), [(0.0, b"0"), (30.0, b"1")])
async def test_a_server_that_was_told_ok_before_the_word_came_is_owed_it(
    worker: Worker, seconds: float, owed: bytes
) -> None:
    await asyncio.wait_for(worker.begin("dying_1").finished, 10)
    worker.age("trace-dying_1", seconds)
    await worker.deliver()
    assert [(row["outcome"], row["answer"]) for row in worker.rows()] == [("gone", "REMOVE")]
    await worker.link.drain()
    assert [fields[b"o"] for _, fields in worker.store.xrange("remove:dead")] == [owed]  # type: ignore[union-attr]
