"""Due delivery: claims the pushes of the due list whose time has come, and begins each again. One per worker process.

Invariant: no more is claimed than is sent at once, so that a claim is settled before it lapses.
"""

import asyncio
import logging
from typing import Final

from delivery.log.rows import ROWS
from delivery.metrics import counting
from delivery.queue import dead_letters, due_list, shared_clock
from delivery.queue.due_list import Claim
from delivery.worker import lost_pushes
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.batch_sender import BatchSender
from delivery.worker.due_item import head, unseal
from tenants import vault
from tenants.directory.live import DIRECTORY
from tenants.ticks import tick

logger = logging.getLogger(__name__)

# Seconds between two looks at the list.
INTERVAL: Final = 1.0
# Pushes of the list that are in hands at a time, and their bytes at one claim.
MOST: Final = 400
MOST_BYTES: Final = 4_000_000
# Pushes that are begun in one turn of the loop.
TURN: Final = 32
# Seconds between two warnings of a missing key.
WARNING_INTERVAL: Final = 30.0


class DueDelivery:
    """See the module. run() beside the batches of the queue."""

    def __init__(self, sender: BatchSender) -> None:
        self._sender = sender
        self._in_hands = 0
        self._leaving = False
        self._warn_at = 0.0

    def leave(self) -> None:
        """Claim nothing more."""
        self._leaving = True

    async def run(self) -> None:
        """Claim and begin what is due, until cancelled."""
        while True:
            if not self._leaving and DIRECTORY.ready and self._in_hands < MOST:
                room = MOST - self._in_hands
                if await self._claim(room) == room:
                    await asyncio.sleep(0)
                    continue
            await tick(INTERVAL)

    async def _claim(self, most: int) -> int:
        try:
            reply = await self._sender.link.execute(*due_list.claiming(most, MOST_BYTES))
        except ConnectionError:
            return 0  # the link says so
        if isinstance(reply, Exception):
            logger.error("Valkey does not give what is due: %s", reply)
            return 0
        _, claim, pushes = due_list.claimed(reply)
        for number, (trace, sealed) in enumerate(pushes):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)  # what came meanwhile is not to wait for all of them
            if sealed:
                self._begin(trace, claim, sealed)
            else:
                logger.critical("a push was accepted and is lost", extra={"trace": trace})
        return len(pushes)

    def _begin(self, trace: str, claim: bytes, sealed: bytes) -> None:
        try:
            due = unseal(self._sender.settler.due.cipher, dead_letters.trace_of(trace), sealed)
        except vault.AlteredError:
            logger.critical("a push that was to be tried again was altered and is put aside", extra={"trace": trace})
            counting.put_aside(due_list.DUE)
            whose = head(sealed)
            row = b"" if whose is None else lost_pushes.end(whose, shared_clock.now())
            self._sender.link.post(due_list.putting_aside(Claim(trace, claim, "", 0), ROWS, row), 1)
            return
        except vault.VaultError as error:
            if self._sender.loop.time() >= self._warn_at:
                self._warn_at = self._sender.loop.time() + WARNING_INTERVAL
                logger.critical("pushes that are to be tried again cannot be opened and wait until they can: %s", error)
            return
        work = BatchProgress(due.batch_id, [due.item], self._sender.loop.create_future(), size=len(sealed))
        work.claim = Claim(trace, claim, due.batch_id, due.place, due.mark)
        work.attempts[0] = tuple(due.attempts)
        self._in_hands += 1
        work.finished.add_done_callback(self._let_go)
        self._sender.begin_again(work)

    def _let_go(self, _finished: "asyncio.Future[None]") -> None:
        self._in_hands -= 1
