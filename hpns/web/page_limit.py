"""Concurrency limit of pages: each has a thread and a connection to PostgreSQL of its own.

Without a bound, a few hundred requests that somebody sends at once take every connection that PostgreSQL has, from the
log and the directory, too, and so much of the processor that pushes come too late. Invariant: whoever waits has a
place and a deadline; all others are told at once that there is none.
"""

import asyncio


class ConcurrencyLimit:
    """Lets `concurrent` in; `queued` more may wait, each for `timeout` seconds at most. For one event loop."""

    def __init__(self, concurrent: int, queued: int, timeout: float) -> None:
        self._semaphore = asyncio.Semaphore(concurrent)
        self._queue_places = queued
        self._timeout = timeout

    async def acquire(self) -> bool:
        """Acquire a slot, after waiting if need be. False: none; else release() is to be called once."""
        if not self._semaphore.locked():
            return await self._semaphore.acquire()
        if self._queue_places <= 0:
            return False
        self._queue_places -= 1
        try:
            async with asyncio.timeout(self._timeout):
                return await self._semaphore.acquire()
        except TimeoutError:
            return False
        finally:
            self._queue_places += 1

    def release(self) -> None:
        """Release the slot."""
        self._semaphore.release()
