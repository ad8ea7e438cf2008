"""What the tests of a worker's consumer share: faults of the wire, and waiting for what it is handed."""

import asyncio

from tests.hpns.celery.conftest import Worker, message, until
from tests.wire import Fault

ERRORS = [
    "READONLY You can't write against a read only replica.",
    "LOADING Valkey is loading the dataset in memory",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "MISCONF Errors writing to the AOF file: No space left on device",
]
FAULTS = [Fault.LOST, Fault.REPLY_LOST, ERRORS[0]]
PUBLISHED = message("one")


async def handed(made: Worker, count: int = 1) -> None:
    await until(lambda: len(made.tags) >= count, "the message is handed over")


async def nothing_more(made: Worker, count: int = 1) -> None:
    """Some rounds of everything later it has been handed no more."""
    await asyncio.sleep(0.15)
    assert len(made.tags) == count, made.tags
