"""Publishes batches: seals the collected pushes and puts them into the queue as one Celery task.

When the connection breaks before Valkey has confirmed a batch, the counter `sent:PROCESS`, written in one transaction
with each batch, says which batches arrived; the others are posted again while somebody waits for them, and else turned
away. Invariant: a batch stands in the queue at most once.
"""

import asyncio
import base64
import itertools
import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from delivery import tasks
from delivery.executors import BoundedExecutor, ExecutorFullError
from delivery.ingest.envelope import EnvelopeTemplate
from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.ingest.refusals import TurnedAwayPushes
from delivery.ingest.responses import Responses
from delivery.queue import batch, valkey
from tenants import vault

logger = logging.getLogger(__name__)

# Seconds without Valkey's confirmation of a batch after which it counts as away, so that what waits stays bounded.
CONFIRMATION_TIMEOUT = 2.0
# Schemes of the brokers that speak Redis's protocol.
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
# For another broker, whose client blocks. Batches that wait for a thread; more are turned away.
CELERYS = BoundedExecutor("publishing through Celery", threads=8, queued=200)


class Publisher:
    """The publishing side of one web process; publish() on its loop."""

    def __init__(self, process: str, link: valkey.Link, responses: Responses, turned_away: TurnedAwayPushes) -> None:
        self._process, self._link, self._responses, self._turned_away = process, link, responses, turned_away
        self._cipher = vault.queue_cipher("queue")
        self._numbers = itertools.count(1)
        self._envelope = EnvelopeTemplate(process)
        self._via_celery = not settings.CELERY_BROKER_URL.startswith(REDIS_SCHEMES)
        self._publishing: set[asyncio.Task[None]] = set()

    def publish(self, pushes: list[PendingPush], items: Sequence[bytes]) -> None:
        """Publish one batch; `items` are its pushes in this order, encoded. What cannot be is turned away."""
        number = next(self._numbers)
        batch_id = f"{self._process}:{number}"
        pending = self._responses.track(number, batch_id, pushes)
        sealed = self._cipher.seal_bytes(batch.join(items), batch_id.encode())
        if self._via_celery:
            task = asyncio.get_running_loop().create_task(self._publish_via_celery(pending, sealed))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)
            return
        pending.commands, pending.command_count = self._envelope.commands(batch_id, number, sealed)
        self._post(pending)

    def _post(self, pending: PendingBatch) -> None:
        loop = asyncio.get_running_loop()
        pending.posted_at = loop.time()
        confirmation: asyncio.Future[Any] = loop.create_future()
        confirmation.add_done_callback(lambda future: self._on_published(future, pending))
        self._link.post(pending.commands, pending.command_count, confirmation)

    def _on_published(self, confirmation: "asyncio.Future[Any]", pending: PendingBatch) -> None:
        if confirmation.cancelled() or confirmation.exception() is not None:
            return  # whether it arrived is found out when the connection is back
        if isinstance(confirmation.result(), Exception):
            logger.error("Valkey does not take pushes: %s", confirmation.result())
            self._give_up(pending)
            return
        _confirm(pending)

    def _give_up(self, pending: PendingBatch) -> None:
        """End the pushes of a batch that does not reach the queue."""
        responses = self._responses
        if responses.batches.pop(pending.number, None) is None:
            return
        for push in pending.pushes:
            if not push.answer.done():
                responses.release(push)
            self._turned_away.turn_away(push, "queue_down")

    async def _publish_via_celery(self, pending: PendingBatch, sealed: bytes) -> None:
        """Publish through Celery itself, in a thread: for any broker but Valkey or Redis."""
        text = base64.b64encode(sealed).decode()
        try:
            await CELERYS.run(tasks.publish, pending.id, text)
        except (tasks.OperationalError, ExecutorFullError) as error:
            logger.error("the broker does not take pushes: %s", error)
            self._give_up(pending)
        else:
            _confirm(pending)

    async def on_reconnected(self) -> None:
        """Find out which batches arrived before the connection broke, and publish the others again or end them."""
        answer = await self._link.execute("GET", f"sent:{self._process}")
        if isinstance(answer, Exception):
            raise ConnectionError(str(answer))
        last_number = int(answer or 0)
        now = asyncio.get_running_loop().time()
        for pending in list(self._responses.batches.values()):
            if pending.published or self._via_celery:
                continue
            if pending.number <= last_number:
                _confirm(pending)
            elif pending.deadline > now:
                self._post(pending)
            else:
                self._give_up(pending)

    def check_confirmations(self, now: float) -> None:
        """Break a connection off on which Valkey does not confirm what was posted; `now` in the loop's time."""
        if self._via_celery or not self._link.up:
            return
        for pending in self._responses.batches.values():
            if not pending.published and pending.posted_at + CONFIRMATION_TIMEOUT < now:
                logger.error("Valkey has confirmed nothing for %g s", CONFIRMATION_TIMEOUT)
                self._link.abort()
                return
            if pending.deadline > now:
                return


def _confirm(pending: PendingBatch) -> None:
    pending.published = True
    pending.commands = b""
