"""Publishes batches: seals the collected pushes and puts them into the queue as one Celery task.

After each reconnect the list `sent:PROCESS`, written in one transaction with each batch, says which batches the queue
has. The others are published again while somebody waits for them, and else turned away: those that Valkey refused or
had not confirmed when the connection broke, and those that it had and lost, because its machine lost power. Batches are
only written in the order of their positions, to one connection at a time (delivery/queue/valkey.py), and the
append-only file keeps that order: so the newest position of the list is the last that the queue has. One that is
published again gets a new position: what is saved up to a position is so without exception.

With a batch goes which pushes it has (seen_log.py), and Valkey's reply says which of them came before. What
this process sends itself is held until then, a round trip, or HELD_MOST where Valkey takes longer: rather send a push
that may have come before than none. Invariant: a batch stands in the queue at most once; one that may be known to a
worker already says so.
"""

import asyncio
import base64
import itertools
import logging
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings

from delivery import tasks
from delivery.executors import BoundedExecutor, ExecutorFullError
from delivery.ingest import envelope
from delivery.ingest.own_delivery import OwnDelivery
from delivery.ingest.pending import NOWHERE, PendingBatch, PendingPush
from delivery.ingest.refusals import TurnedAwayPushes
from delivery.ingest.repeats import Repeats
from delivery.ingest.responses import Responses
from delivery.ingest.seen_log import Note, SeenLog
from delivery.metrics import counting
from delivery.protocol import wire
from delivery.queue import batch, ledger, seen, valkey
from delivery.worker.places import cost
from tenants import redis_client, vault

logger = logging.getLogger(__name__)

# For another broker, whose client blocks. Batches that wait for a thread; more are turned away.
CELERYS = BoundedExecutor("publishing through Celery", threads=8, queued=200)
# Seconds for which a batch waits to be told which of its pushes came before.
HELD_MOST: Final = 0.5
# Of a push that may come again, for it went nowhere.
_NOT_QUEUED: Final = wire.fail_body("queue_down")


class Publisher:
    """The publishing side of one web process; publish() on its loop."""

    def __init__(
        self,
        process: str,
        link: valkey.Link,
        responses: Responses,
        turned_away: TurnedAwayPushes,
        repeats: Repeats,
        own: OwnDelivery | None,
        seen_log: SeenLog,
    ) -> None:
        self._process, self._link, self._responses, self._turned_away = process, link, responses, turned_away
        self._repeats, self._seen = repeats, seen_log
        # Those that wait for Valkey's reply, by number, with their messages, until when in the loop's time, and the
        # bytes of memory that they will take up.
        self._held: dict[int, tuple[PendingBatch, bytes, float, int]] = {}
        self._held_bytes = 0
        self._held_timer: asyncio.TimerHandle | None = None
        self._reload_at = 0.0
        self._cipher, self._own = vault.queue_cipher("queue"), own
        self._numbers = itertools.count(1)
        self.sent = envelope.sent_key(process)
        self._envelope = envelope.EnvelopeTemplate(process)
        self.via_celery = not redis_client.serves(settings.CELERY_BROKER_URL)
        self._publishing: set[asyncio.Task[None]] = set()

    def publish(self, pushes: list[PendingPush], items: Sequence[bytes]) -> None:
        """Publish one batch; `items` are its pushes in this order, encoded. What cannot be is turned away."""
        number = next(self._numbers)
        try:
            self._publish(number, pushes, items)
        except Exception:  # a fault of ours, for which nobody waits until a deadline that may never come
            logger.exception("a batch could not be published")
            self._responses.discard(number)
            self._turn_away(pushes, "internal_error")

    def _publish(self, number: int, pushes: list[PendingPush], items: Sequence[bytes]) -> None:
        batch_id = f"{self._process}:{number}"
        sealed = self._cipher.seal_bytes(batch.join(items), batch_id.encode())
        pending = self._responses.track(number, batch_id, pushes, sealed)
        if self.via_celery:
            task = asyncio.get_running_loop().create_task(self._publish_via_celery(pending, sealed))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)
            return
        # While the link is not up nothing is written, and on_reconnected() comes to it.
        message = self._envelope.message(batch_id, sealed)
        own = self._own if self._own is not None and self._link.up and self._own.has_room(self._held_bytes) else None
        key = own.key if own is not None else ""
        where = key or self._envelope.queue
        noting, note = self._seen.note(pending, where, in_queue=not key, surely_first=False)
        entering = ledger.entering(batch_id, items)
        commands = self._envelope.commands(batch_id, number, sealed, message, key=key, entering=entering, noting=noting)
        self._post(self._link, pending, commands, note)
        if own is None:
            return
        own.settle_along()
        if note is None:
            own.deliver(pending, message)
            return
        loop = asyncio.get_running_loop()
        size = cost(len(pushes), len(sealed))
        self._held[number] = (pending, message, loop.time() + HELD_MOST, size)
        self._held_bytes += size
        if self._held_timer is None:
            self._held_timer = loop.call_later(HELD_MOST, self._on_held_long)

    def _on_held_long(self) -> None:
        """Begin what Valkey has not replied to in time; it is the oldest that are held."""
        loop = asyncio.get_running_loop()
        self._held_timer = None
        for number, (_, _, until, _) in list(self._held.items()):
            if until > loop.time():
                self._held_timer = loop.call_at(until, self._on_held_long)
                break
            self._begin_held(number, [])

    def _begin_held(self, number: int, repeats: Sequence[seen.Repeat]) -> None:
        """Send a batch that was held, but for those of its pushes that came before."""
        if (held := self._held.pop(number, None)) is None or self._own is None:
            return
        pending, message, _, size = held
        self._held_bytes -= size
        if len(repeats) < len(pending.pushes):
            self._own.deliver(pending, message, [repeat.place for repeat in repeats])

    async def close(self) -> None:
        """Have Valkey's replies to what is held; what it gives none to, in its time, is the workers'."""
        loop = asyncio.get_running_loop()
        until = loop.time() + HELD_MOST
        while self._held and loop.time() < until:
            await asyncio.sleep(0.01)
        self._held.clear()
        self._own = None

    def _post(
        self,
        writer: valkey.Link | valkey.Connection,
        pending: PendingBatch,
        commands: tuple[bytes, int],
        note: Note | None,
    ) -> None:
        confirmation: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        confirmation.add_done_callback(lambda future: self._on_published(future, pending, note))
        writer.post(*commands, confirmation)

    def _on_published(self, confirmation: "asyncio.Future[Any]", pending: PendingBatch, note: Note | None) -> None:
        if confirmation.cancelled():
            return
        if confirmation.exception() is not None:  # whether it arrived is found out when the connection is back
            self._begin_held(pending.number, [])
            return
        reply = confirmation.result()
        repeats: list[seen.Repeat] = []
        if note is not None:
            noted = reply[-1] if isinstance(reply, list) else reply
            if isinstance(noted, Exception) and noted is not reply:
                self._on_forgotten(noted)
            repeats = self._seen.noted(note, pending, noted)
        self._begin_held(pending.number, repeats)
        if isinstance(confirmation.result(), Exception):
            logger.error("Valkey does not take pushes: %s", confirmation.result())
            if pending.own is None:
                self._give_up(pending)
            else:  # it is answered with its result, and until then never OK, whatever the queue takes after it
                pending.position = NOWHERE
            return
        self._responses.on_published(pending)
        for repeat in repeats:
            if (push := self._responses.take_out(pending, repeat.place)) is not None:
                self._repeats.answer(push, pending, repeat)

    def _on_forgotten(self, error: Exception) -> None:
        """Have the server know the script again, which it was told to forget: at most once a second."""
        now = asyncio.get_running_loop().time()
        if now >= self._reload_at:
            self._reload_at = now + 1.0
            logger.error("Valkey does not say whether pushes came before: %s", error)
            self._link.execute(*seen.loading())

    def _publish_again(self, connection: valkey.Connection, pending: PendingBatch, settled: Sequence[int]) -> None:
        pending.position = next(self._numbers)
        receipt = pending.own.receipt if pending.own is not None else None
        if receipt is not None:
            message, key = receipt.item, receipt.key
        else:  # perhaps a worker has it all the same, or had it before the queue forgot it
            message, key = envelope.redelivered(self._envelope.message(pending.id, pending.sealed)), ""
        where = key or self._envelope.queue
        noting, note = self._seen.note(pending, where, in_queue=not key, surely_first=True)
        commands = self._envelope.commands(
            pending.id,
            pending.position,
            pending.sealed,
            message,
            key=key,
            settled=settled,
            entering=ledger.entering_again(pending.id, [_head(push) for push in pending.pushes]),
            noting=noting,
        )
        self._post(connection, pending, commands, note)
        if self._own is not None:
            self._own.defer_again(pending)

    def _give_up(self, pending: PendingBatch) -> None:
        """End the pushes of a batch that does not reach the queue."""
        if not self._responses.forget(pending, queued=False):
            return
        self._turn_away(pending.pushes, "queue_down")

    def _turn_away(self, pushes: Sequence[PendingPush | None], code: str) -> None:
        for push in pushes:
            if push is None:
                continue
            self._responses.release(push)
            self._responses.on_ended(push, _NOT_QUEUED)
            try:
                self._turned_away.turn_away(push, code)
            except Exception:  # a fault of ours at one push: the others are released and answered all the same
                logger.exception("a push could not be turned away", extra={"trace": push.trace})
                if not push.answer.done():
                    push.answer.set_result(wire.fail_body(f"internal_error {push.trace}"))

    async def _publish_via_celery(self, pending: PendingBatch, sealed: bytes) -> None:
        """Publish through Celery itself, in a thread: for any broker but Valkey or Redis."""
        text = base64.b64encode(sealed).decode()
        try:
            await CELERYS.run(tasks.publish, pending.id, text)
        except (tasks.OperationalError, ExecutorFullError) as error:
            logger.error("the broker does not take pushes: %s", error)
            self._give_up(pending)
        except Exception:  # whatever else a client of a broker raises: the batch must not stay for ever
            logger.exception("a batch could not be published through Celery")
            self._give_up(pending)
        else:
            pending.published = pending.saved = True

    async def on_reconnected(self, connection: valkey.Connection) -> None:
        """Find out which batches the queue has, and publish the others again or end them. Raises ConnectionError.

        `connection`: the new one, before anybody else may write to it.
        """
        if self._own is not None:
            await self._own.on_reconnected(connection)
        answer = await valkey.ask(connection, "LRANGE", self.sent, "0", "-1")
        self._envelope.on_lost()
        listed = frozenset(map(int, answer))
        # Older ones than a full list has are long confirmed.
        unlisted_below = min(listed) if len(listed) >= envelope.SENT_MOST else 0
        last_position = max(listed, default=0)
        now = asyncio.get_running_loop().time()
        again, rows_lost = 0, self._responses.on_lost(last_position)
        for pending in list(self._responses.batches.values()):
            if pending.position in listed or NOWHERE < pending.position < unlisted_below:
                self._responses.on_published(pending)
                continue
            again += pending.published
            settled = pending.answered() if pending.own is None else pending.own.confirmed
            rows_lost += len(settled)
            pending.published = False
            if pending.own is None and pending.deadline <= now:
                self._give_up(pending)
            elif pending.own is None or not (pending.own.finished.done() or pending.late):
                # Late ones of our own: their servers were told FAIL, and what was sealed is gone.
                self._publish_again(connection, pending, settled)
        if again or rows_lost:
            counting.rows_lost(rows_lost)
            logger.error(
                "Valkey has lost what it had confirmed last: %d batches are published again or given up, and of %d "
                "pushes that were answered before the rows of the delivery log may be missing",
                again,
                rows_lost,
            )


def _head(push: PendingPush | None) -> ledger.Head | None:
    if push is None:
        return None
    who = push.who
    return ledger.Head(push.trace, round(push.at, 3), who.customer_id, who.server_id, who.key_id, push.size)
