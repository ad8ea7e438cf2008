"""Consumer of the queues for one channel: takes messages into this worker's processing lists and hands them to Celery.

One blocking connection per queue, beside the lease (lease.py) and the removals (processing_list.py). Invariants: a
message that is taken is handed over once, however often its connection breaks; one that cannot be handed over is put
aside, once and loudly, and ends nothing; nothing is taken without a valid lease and without room.
"""

import asyncio
import logging
import math
import os
import secrets
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from delivery.metrics import counting
from delivery.queue import valkey
from delivery.queue.receipt import PROPERTY, Receipt
from hpns.celery.commands import BLOCK_SECONDS, MOVE, CommandRefused, ask
from hpns.celery.lease import Lease
from hpns.celery.processing_list import ProcessingLists
from tenants import supervision
from tenants.directory.live import DIRECTORY

logger = logging.getLogger(__name__)

# Seconds before a connection that broke, or is refused, is used again; for one that is refused doubled each time.
PAUSE_MIN, PAUSE_MAX = 0.1, 1.0
# Seconds without a reply after which a queue counts as not consumed; each BLMOVE gets one within BLOCK_SECONDS.
STALLED_SECONDS = 10.0
# Removals without a confirmation from which on nothing more is taken. Each keeps its message, of at most 9 kB.
UNCONFIRMED_MOST = 1000
# Seconds before a full Valkey is asked for a message in the way that it does not refuse.
FULL_PAUSE = 0.05


class _Unacked:
    """A message in Celery's hands; `receipts` are several when it came back to this very worker meanwhile."""

    __slots__ = ("queue", "receipts")

    def __init__(self, queue: str, receipt: Receipt) -> None:
        self.queue, self.receipts = queue, [receipt]

    def items(self) -> set[bytes]:
        """The message as it stands, or stood, in the processing list, but for what the server has confirmed as gone."""
        return {receipt.item for receipt in self.receipts if not receipt.removed}


class Consumer:
    """See the module. can_take: whether there is room for one more of a queue; with_receipts: see
    delivery/queue/receipt.py."""

    def __init__(
        self,
        url: str,
        link: valkey.Link,
        loop: asyncio.AbstractEventLoop,
        can_take: Callable[[str], bool],
        *,
        with_receipts: bool,
    ) -> None:
        self.url, self.loop = url, loop
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.unacked: dict[str, _Unacked] = {}  # by delivery tag
        self.room = asyncio.Event()
        self.lists = ProcessingLists(self.worker, link, loop, self.room.set)
        self.lease = Lease(self.worker, link, loop, self.problems, self.lists.repeat_lost)
        self._can_take, self._with_receipts = can_take, with_receipts
        self._deliver: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._consuming: list[asyncio.Task[None]] = []
        self._keeping: asyncio.Task[None] | None = None
        self._delivering = ""
        # By queue: the error that it is refused with, and since when it is waited for (never: inf).
        self._refused: dict[str, str] = {}
        self._waiting_since: dict[str, float] = {}

    def consume(self, queue: str, deliver: Callable[[dict[str, Any]], None]) -> None:
        """Begin consuming from `queue`; `deliver` gets each decoded message."""
        self.lease.queues.append(queue)
        if self._keeping is None:
            self._keeping = supervision.supervise("the lease of this worker", self.lease.keep, loop=self.loop)
        self._deliver[queue] = deliver
        self._waiting_since[queue] = math.inf
        self._consuming.append(
            supervision.supervise(f"the consumer of queue {queue}", lambda: self._consume(queue), loop=self.loop)
        )

    def problems(self) -> list[str]:
        """What keeps this worker from delivering, in plain words and without texts of others; [] when nothing does."""
        late = self.loop.time() - STALLED_SECONDS
        found = supervision.failing(essential=True)
        found += [f"queue {queue} is refused by Valkey ({code})" for queue, code in self._refused.items()]
        found += [f"queue {queue} is not being consumed" for queue, at in self._waiting_since.items() if at < late]
        if not DIRECTORY.ready:
            found.append("the directory of keys has not been read")
        return found

    # --- Taking

    async def _consume(self, queue: str) -> None:
        link = valkey.Link(self.url)
        pause = PAUSE_MIN
        try:
            while True:
                try:
                    self._waiting_since[queue] = self.loop.time()
                    await link.start()
                    await self._consume_on(link, queue)
                except CommandRefused as error:
                    logger.warning("consuming from %s is refused, will try again: %s", queue, error)
                    pause = PAUSE_MIN if queue not in self._refused else min(pause * 2, PAUSE_MAX)
                    self._refused[queue] = str(error).partition(" ")[0]
                    link.abort()  # the next connection may lead to a server that does not refuse
                    await asyncio.sleep(pause)
                except ConnectionError as error:
                    logger.warning("consuming from %s was interrupted, will resume: %s", queue, error)
                    await asyncio.sleep(PAUSE_MIN)
        finally:
            link.close()

    async def _consume_on(self, link: valkey.Link, queue: str) -> None:
        """Consume on one connection, until that ends. Raises ConnectionError."""
        await self._recover(link, queue)
        # A server that does not know that the connection before is dead may have moved a message for it after that.
        recover_at = self.loop.time() + BLOCK_SECONDS + 1
        while True:
            await self._wait_until_allowed(queue)
            if self.loop.time() > recover_at:
                await self._recover(link, queue)
                recover_at = math.inf
            item = await self._take(link, queue)
            if queue in self._refused:
                del self._refused[queue]
            if item is not None and self.lists.is_new(item):
                self._hand_over(queue, item)

    async def _take(self, link: valkey.Link, queue: str) -> bytes | None:
        """Return the next message, None when none came for a while. Raises ConnectionError."""
        key = self.lists.key(queue)
        item: bytes | None
        try:
            item = await ask(link, "BLMOVE", queue, key, "RIGHT", "LEFT", str(BLOCK_SECONDS))
        except CommandRefused as error:
            if not str(error).startswith("OOM"):
                raise
            await asyncio.sleep(FULL_PAUSE)
            item = await ask(link, "EVAL", MOVE, "2", queue, key)
        return item

    async def _wait_until_allowed(self, queue: str) -> None:
        while True:
            if not self.lease.is_valid():
                self._waiting_since[queue] = math.inf
                await self.lease.wait_until_valid()
            elif not self._can_take(queue) or len(self.lists.unconfirmed) >= UNCONFIRMED_MOST:
                self._waiting_since[queue] = math.inf
                self.room.clear()
                await self.room.wait()
            else:
                self._waiting_since[queue] = self.loop.time()
                return

    async def _recover(self, link: valkey.Link, queue: str) -> None:
        """Hand over what was moved for us while the reply got lost."""
        # Noted before the list is read: what is removed while it is on its way to us is known all the same.
        known = {receipt.item for unacked in self.unacked.values() for receipt in unacked.receipts}
        known.update(self.lists.unconfirmed)
        for item in reversed(await ask(link, "LRANGE", self.lists.key(queue), "0", "-1")):
            if item not in known:
                self._hand_over(queue, item)

    def _hand_over(self, queue: str, item: bytes) -> None:
        try:
            message: dict[str, Any] = msgspec.json.decode(item)
            tag = message["properties"]["delivery_tag"]
            if not isinstance(tag, str) or not tag:
                raise TypeError("the delivery tag is no text")
        except (msgspec.DecodeError, RecursionError, KeyError, TypeError) as error:
            logger.critical("what came through queue %s is no message, it is put aside: %s", queue, error)
            counting.put_aside(queue)
            self.lists.put_aside(queue, item)
            return
        receipt = Receipt(self.lists.key(queue), item)
        unacked = self.unacked.get(tag)
        if unacked is not None:
            # Others requeued it when our lease had expired, and it came back to us, who still have it.
            logger.warning("a message that this worker still has in its hands was requeued and came back")
            unacked.receipts.append(receipt)
            return
        self.unacked[tag] = _Unacked(queue, receipt)
        if self._with_receipts:
            message["properties"][PROPERTY] = receipt
        self._delivering = tag
        try:
            self._deliver[queue](message)
        except Exception:
            logger.exception("a message of queue %s cannot be handed over", queue)
            self.put_aside(tag)
        finally:
            self._delivering = ""

    # --- Removing, by delivery tag

    def _released(self, tag: str) -> _Unacked | None:
        unacked = self.unacked.pop(tag, None)
        if unacked is None:
            logger.error("a message was acknowledged that this worker does not have")
        self.room.set()
        return unacked

    def ack(self, tag: str) -> None:
        """Acknowledge a message. What Celery acknowledges while it is handed over could not be read: put that aside."""
        if tag == self._delivering:
            self.put_aside(tag)
        elif (unacked := self._released(tag)) is not None:
            for item in unacked.items():
                self.lists.acknowledge(unacked.queue, item)

    def requeue(self, tag: str) -> None:
        """Requeue a message at the end of its queue."""
        if (unacked := self._released(tag)) is not None:
            for item in unacked.items():  # of several only the one that is in our list is moved
                self.lists.requeue(unacked.queue, item)

    def put_aside(self, tag: str) -> None:
        """Put a message aside that nobody can read, or that no task survives; not what Celery has settled itself."""
        if tag in self.unacked and (unacked := self._released(tag)) is not None:
            logger.critical("a message of queue %s is put aside, see the error before", unacked.queue)
            counting.put_aside(unacked.queue)
            for item in unacked.items():
                self.lists.put_aside(unacked.queue, item)

    # --- Ending

    def stop(self) -> None:
        """Take no further message; what is unacknowledged may still be acknowledged, and the lease is renewed."""
        for task in self._consuming:
            task.cancel()
        self._consuming.clear()
        self._waiting_since.clear()

    def close(self) -> None:
        """Stop, repeat the acknowledgements that are not confirmed, and requeue the rest."""
        self.stop()
        if self._keeping is not None:
            self._keeping.cancel()
        if self.loop.is_closed() or self.loop.is_running():
            return  # a broken broker connection: the lease expires and others requeue
        try:
            self.loop.run_until_complete(asyncio.wait_for(self.give_up(), 2))
        except (ConnectionError, TimeoutError) as error:
            logger.warning("could not requeue unfinished messages, others will when the lease expires: %s", error)

    async def give_up(self) -> None:
        """Repeat the acknowledgements that are not confirmed, and requeue the rest. Raises ConnectionError."""
        self.lists.repeat_lost()  # on the same connection, so before what follows
        await self.lease.give_up()
