"""What is counted on the path of a push. Plain counters in memory here, handed to Prometheus once a second.

Invariant: counting never waits, never fails a push, and knows no customer, text or device.
"""

import asyncio

from delivery.verdict import Attempt, Verdict
from delivery.wire import Ack, Push


def batch(size: int) -> None:
    """A batch of `size` pushes came out of the queue."""


def attempt(made: Attempt) -> None:
    """One attempt was made."""


def ended(push: Push, verdict: Verdict, seconds: float) -> None:
    """A push ended, `seconds` after it was accepted."""


def receipt(ack: Ack) -> None:
    """A phone acknowledged a push."""


async def keep() -> None:
    """Hand the counters over once a second, until cancelled."""
    while True:
        await asyncio.sleep(1)
