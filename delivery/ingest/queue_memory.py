"""Keeps the queue within Valkey's memory: refuses pushes honestly well before Valkey itself refuses everything.

A push that was told OK since its deadline came counts in no ceiling any more, and still stands in the queue: with the
workers stopped, customers within their limits would fill Valkey's memory, and then nobody's push could be taken, no row
of the log written and no result handed over. From a quarter of its memory on, each customer may have no more in the
queue than a part of what is left: whoever floods it is refused first, and whoever is quiet finds room to the end
(dynamic queue length thresholds, Choudhury and Hahne, 1998, https://doi.org/10.1109/90.664262).

What a customer has in the queue is an estimate of each process: what it has put there since memory was scarce, and
together never more than Valkey's memory has grown by since the queue was short. While it is short nobody is refused,
whatever else takes up memory: Valkey does that when it is full. Where it has no maxmemory, there is nothing to keep to.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

from delivery.queue import batch, due_list, memory, valkey

logger = logging.getLogger(__name__)

# Parts of maxmemory: from here on there is something to look at; so much the queue may take. The rest is for the rows
# of the log and the results of what the workers have in hand.
SCARCE_FROM: Final = 0.25
MOST: Final = 0.7
# The part of what is left that one customer may have, as seen by one process.
SHARE: Final = 0.25
# Batches; with so few in the queue, the workers keep up.
SHORT: Final = 50
# Pushes that wait to be tried again that count as much as a batch that waits.
DUE_OF_A_BATCH: Final = 50
# Bytes in Valkey for one of a push's own: base64, and what a message of the queue has besides.
FACTOR: Final = 1.5


class QueueMemory:
    """How much of Valkey's memory is left for pushes: poll() once a second, admit() while `scarce`."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self.scarce = False
        self.maxmemory: int | None = None  # of Valkey in bytes, 0 for none; None while it is not known
        self._left = 0.0
        # Valkey's memory when the queue was short for the last time.
        self._before = 0
        # Bytes in the queue by customer: of those who pushed while memory was scarce.
        self._queued: dict[int, float] = {}
        self._polling = False

    def admit(self, customer_id: int, size: int) -> bool:
        """Whether a push of `size` bytes may be queued; counts it if it may."""
        size_there = size * FACTOR
        queued = self._queued.get(customer_id, 0.0) + size_there
        if queued > self._left * SHARE:
            return False
        self._queued[customer_id] = queued
        self._left -= size_there
        return True

    def poll(self) -> None:
        """Ask Valkey for its memory and the queue's length; the answers are looked at when they have come."""
        if self._polling:
            return
        self._polling = True
        memory.look(self._link, [("LLEN", batch.QUEUE), ("ZCARD", due_list.DUE)], self._on_looked)

    def _on_looked(self, found: memory.Memory | None, replies: Sequence[Any]) -> None:
        self._polling = False
        if found is not None:
            length, due = replies
            self.update(found.used, found.most, length + due // DUE_OF_A_BATCH)

    def update(self, used: int, maxmemory: int, waiting: int) -> None:
        """Take note of Valkey's memory in bytes (`maxmemory` 0: it has no bound), and of how many batches wait."""
        self.maxmemory = maxmemory
        if waiting <= SHORT:
            self._before = used
        scarce = bool(maxmemory) and waiting > SHORT and used > maxmemory * SCARCE_FROM
        if scarce != self.scarce:
            self.scarce = scarce
            logger.log(
                logging.WARNING if scarce else logging.INFO,
                "%d batches wait, and Valkey's memory is %d %% full: %s",
                waiting,
                100 * used // maxmemory if maxmemory else 0,
                "each customer may queue no more than its part" if scarce else "there is room for everybody",
            )
        if not scarce:
            self._queued.clear()
            return
        self._left = maxmemory * MOST - used
        # What the workers have taken out is nobody's any more.
        counted, added = sum(self._queued.values()), max(0, used - self._before)
        if counted > added:
            for customer_id in self._queued:
                self._queued[customer_id] *= added / counted
