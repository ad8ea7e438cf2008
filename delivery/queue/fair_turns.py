"""Turns of an event loop that tenants share: what exceeds one turn waits by tenant, and goes on by deficit round robin.

All of a process happens on one loop, so what one tenant brings at once stands in front of what others bring. As long as
little comes in one turn of the loop, or one tenant's alone, each item goes on at once, for the price of two
comparisons. What exceeds that waits here (fair_queue.py), and each following turn takes so many of them, whose turn it
is, while the loop looks after everything else in between: a flood waits for itself. Invariant: what waits goes on in
the next turn that is its tenant's, however long the queues of others are.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from delivery.queue.fair_queue import FairQueue

T = TypeVar("T")

# Seconds for which tenants are taken to share the process after an item of another one's has come.
SHARED: Final = 1.0
# A tenant's part in relation to that of the free test service.
WEIGHT, FREE_WEIGHT = 4, 1


class FairTurns(Generic[T]):
    """See the module. take_now() for each item, and put() for those of which it says so."""

    def __init__(self, take: Callable[[T], None], turn: int) -> None:
        """take: takes each item that is next; turn: how many in one turn of the loop."""
        self._take, self._turn = take, turn
        self.waiting: FairQueue[T] = FairQueue()
        self._is_taking = False
        self._left = turn
        self._tenant, self._shared_until = 0, 0.0

    def take_now(self, tenant: int, now: float) -> bool:
        """Whether an item may go on at once; `now`: the loop's time."""
        if tenant != self._tenant:
            self._shared_until = now + SHARED if self._tenant else 0.0  # the first of all is alone
            self._tenant = tenant
        if now < self._shared_until:
            if self._left == self._turn:
                asyncio.get_running_loop().call_soon(self._begin_turn)
            self._left -= 1
        return self._left >= 0 and not self._is_taking

    def _begin_turn(self) -> None:
        self._left = self._turn

    def put(self, tenant: int, item: T, size: int, *, weight: int = WEIGHT, urgent: bool = False) -> None:
        """Let an item of so many bytes wait for its tenant's turn."""
        self.waiting.put(tenant, item, size, weight=weight, urgent=urgent)
        if not self._is_taking:
            self._is_taking = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        waiting, loop = self.waiting, asyncio.get_running_loop()
        left = self._turn if loop.time() < self._shared_until else len(waiting)
        try:
            while left and waiting:
                left -= 1
                self._take(waiting.take())
        finally:  # whatever one item has brought about, those of others go on
            self._is_taking = bool(waiting)
            if waiting:
                loop.call_soon(self._take_turn)

    def flush(self) -> None:
        """Let all go on that waits."""
        while self.waiting:
            self._take(self.waiting.take())
