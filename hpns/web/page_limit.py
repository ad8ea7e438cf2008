"""How many pages are made at once: each has a thread and a connection to PostgreSQL of its own.

Without a bound, a few hundred requests that somebody sends at once take every connection that PostgreSQL has, from the
log and the directory, too, and so much of the processor that pushes come too late. Invariant: whoever waits has a
place and a deadline; all others are told at once that there is none.
"""

import asyncio


class Gate:
    """Lets `at_once` in; `waiting` more may wait, each for `patience` seconds at most. For one event loop."""

    def __init__(self, at_once: int, waiting: int, patience: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._places = waiting
        self._patience = patience

    async def enter(self) -> bool:
        """Come in, after waiting if need be. False: no; else leave() is to be called once."""
        if not self._free.locked():
            return await self._free.acquire()
        if self._places <= 0:
            return False
        self._places -= 1
        try:
            async with asyncio.timeout(self._patience):
                return await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self._places += 1

    def leave(self) -> None:
        """Make room for the next one."""
        self._free.release()
