"""Turns of an event loop that tenants share: what exceeds one turn waits by tenant, and goes on by deficit round robin.

All of a process happens on one loop, so what one tenant brings at once stands in front of what others bring. As long as
little comes in one turn of the loop, or one tenant's alone, each item goes on at once, for the price of two
comparisons. What exceeds that waits here (fair_queue.py), and each following turn takes so many of them, whose turn it
is, while the loop looks after everything else in between: a flood waits for itself. Invariant: what waits goes on in
the next turn that is its tenant's, however long the queues of others are.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from delivery.queue.fair_queue import FairQueue

T = TypeVar("T")

# Seconds for which tenants are taken to share the process after an item of another one's has come.
SHARED: Final = 10.0
# A tenant's part in relation to that of the free test service.
WEIGHT, FREE_WEIGHT = 4, 1


class FairTurns(Generic[T]):
    """See the module. take_now() for each item, and put() for those of which it says so."""

    def __init__(self, take: Callable[[T], None], turn: int) -> None:
        """take: takes each item that is next; turn: how many in one turn of the loop."""
        self._take, self._turn = take, turn
        self.waiting: FairQueue[T] = FairQueue()
        self._is_taking = False  # a turn is to come in which what waits goes on
        self._left = turn
        self._asked_at = 0.0
        self._tenant, self._shared_until = 0, 0.0

    def take_now(self, tenant: int, now: float) -> bool:
        """Whether an item may go on at once; `now`: the loop's time."""
        if tenant != self._tenant:
            self._shared_until = now + SHARED if self._tenant else 0.0  # the first of all is alone
            self._tenant = tenant
        if now < self._shared_until:
            if self._left == self._turn:
                self._asked_at = time.thread_time()
                asyncio.get_running_loop().call_soon(self._begin_turn)
            self._left -= 1
        return self._left >= 0 and not self._is_taking

    def _begin_turn(self) -> None:
        self._left = self._turn
        self._turned()

    def _turned(self) -> None:
        self._on_turn(time.thread_time() - self._asked_at, time.monotonic())

    def _on_turn(self, seconds: float, now: float) -> None:
        """A turn of the loop took so much of the processor's time; `now`: time.monotonic()."""

    def put(self, tenant: int, item: T, size: int, *, weight: int = WEIGHT, urgent: bool = False) -> None:
        """Let an item of so many bytes wait for its tenant's turn."""
        self.waiting.put(tenant, item, size, weight=weight, urgent=urgent)
        self._go_on()

    def _go_on(self) -> None:
        """Have a turn come for what waits, if any of it may have one."""
        if not self._is_taking and self.waiting.is_ready:
            self._is_taking = True
            self._asked_at = time.thread_time()
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turned()
        waiting, loop = self.waiting, asyncio.get_running_loop()
        left = self._turn if loop.time() < self._shared_until else len(waiting)
        try:
            while left and waiting.is_ready:
                left -= 1
                self._take(waiting.take())
        finally:  # whatever one item has brought about, those of others go on
            self._is_taking = False
            self._go_on()

    def resume_all(self) -> None:
        """Give all tenants that are held their turns again."""
        for tenant in self.waiting.held:
            self.waiting.resume(tenant)
        self._go_on()

    def flush(self) -> None:
        """Let all go on that waits."""
        self.resume_all()
        while self.waiting.is_ready:
            self._take(self.waiting.take())
            if not self.waiting.is_ready:
                self.resume_all()
