"""The progress of one batch that is being delivered. Pure data."""

import asyncio
from collections.abc import Callable

from delivery.outcomes.verdict import Answer, Attempt, Verdict
from delivery.queue import batch, due_list
from delivery.queue.receipt import Receipt
from delivery.worker.routes import Route


class BatchProgress:
    """The progress of one batch: its pushes, their attempts and routes, and which have ended."""

    __slots__ = (
        "answer",
        "attempts",
        "claim",
        "confirmed",
        "deadlines",
        "deferred",
        "deferred_before",
        "ended",
        "finished",
        "has_deferred",
        "holder",
        "id",
        "is_acknowledged",
        "is_due",
        "items",
        "lost",
        "number",
        "open",
        "partly_settled",
        "receipt",
        "routes",
        "size",
        "started_at",
        "timer",
        "told",
        "unconfirmed",
        "waiting",
    )

    def __init__(
        self,
        batch_id: str,
        items: list[batch.Item],
        finished: "asyncio.Future[None]",
        receipt: Receipt | None = None,
        answer: "Callable[[int, Answer, str], None] | None" = None,
        size: int = 0,
    ) -> None:
        """`size`: its bytes as it travels; `answer`: gets each push's index, answer and text when it ends, in the
        process that its server waits at; the results are left in Valkey for that process otherwise."""
        self.id = batch_id
        self.answer = answer
        # What the servers of these were told before they ended, where this process knows it.
        self.told: dict[int, Answer] = {}
        # Those of which Valkey has said that they are settled, while others of the batch are not.
        self.confirmed: list[int] = []
        self.receipt = receipt  # of its message; it goes with the last settlement
        self.number = int(batch_id.rpartition(":")[2])
        self.items, self.size = items, size
        self.open = set(range(len(items)))  # indices of the pushes that have no verdict yet
        self.finished = finished
        # Settlements that the server has not confirmed; and those of them that wait to be made again.
        self.unconfirmed = self.lost = 0
        self.is_acknowledged = False  # by a settlement that was its last, as far as was known
        self.started_at = 0.0  # by the loop's clock
        self.waiting = 0  # how many of its pushes wait for their customers' turns, and are not begun yet
        self.is_due = False  # see Settler.settle_soon()
        self.partly_settled = False  # some of it was settled by another worker, or earlier by this one
        self.ended: list[tuple[int, Verdict, str]] = []
        # For each item, by its index: what was tried, on which route (None: it did not come to that), and until when.
        self.attempts: list[tuple[Attempt, ...]] = [()] * len(items)
        self.routes: list[Route | None] = [None] * len(items)
        self.deadlines = [0.0] * len(items)
        self.timer: asyncio.TimerHandle | None = None
        # By whom those of its pushes that would ring twice are marked as begun (begun_marks.py); "" before the first.
        self.holder = ""
        # Those that are to be tried again later, each with when (unix milliseconds); they are open no longer.
        self.deferred: list[tuple[int, int]] = []
        # Those of them that are on their way there, or have arrived; and whether there are any.
        self.deferred_before: list[tuple[int, int]] = []
        self.has_deferred = False
        # Where the one push of this batch stands in the due list, if it comes from there.
        self.claim: due_list.Claim | None = None

    def all_posted(self) -> bool:
        """Whether every push has ended, and been posted for settlement."""
        return not self.open and not self.ended and not self.deferred
