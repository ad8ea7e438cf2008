"""kombu's Redis transport with a reliable queue: a message is in its queue or in one worker's list, never in neither.

kombu's own takes a message with BRPOP and notes it as unacknowledged in a second command: a worker that is killed in
between, or while the answer lies in its socket, loses the message (test_transport.py shows it). Here one BLMOVE
moves a message from its queue to the worker's list (commands.py), which it leaves when it is acknowledged
(processing_list.py). A worker sends heartbeats (lease.py); the lists of workers whose lease has expired go back to the
heads of their queues, marked as redelivered, whatever host they ran on. This file is what kombu and Celery see of it;
publishing and the envelope stay kombu's.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from kombu.transport import redis as kombu_redis

from delivery.queue import batch, valkey
from delivery.worker import places
from hpns.celery import publishing
from hpns.celery.consumer import Consumer
from hpns.celery.hub import AsyncioHub


class QoS(kombu_redis.QoS):  # type: ignore[misc]
    """Acknowledgement = removal from this worker's processing list; nothing else is kept at the server."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message as delivered to a consumer."""
        kombu_redis.virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge: remove the message from this worker's processing list."""
        self.channel.consumer.ack(delivery_tag)
        kombu_redis.virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject: put the message aside, or requeue it at the end of its queue."""
        if requeue:
            self.channel.consumer.requeue(delivery_tag)
        else:
            self.channel.consumer.put_aside(delivery_tag)
        kombu_redis.virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_args: Any, **_options: Any) -> None:
        """Leases take the place of the visibility timeout."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """The consumer requeues what is unacknowledged when its channel closes."""
        self._on_collect.cancel()


class Channel(publishing.Channel):
    """A kombu channel whose callbacks are fed by a Consumer."""

    QoS = QoS
    _consumer: Consumer | None = None

    @property
    def consumer(self) -> Consumer:
        """The consumer of this channel, made at the first use."""
        if self._consumer is None:
            hub: AsyncioHub = self.connection.hub
            url = settings.CELERY_BROKER_URL
            self._consumer = Consumer(
                url,
                valkey.shared(url, hub.aio),
                hub.aio,
                self._can_take,
                with_receipts=url == settings.REDIS_URL,
            )
            hub.on_drain.append(self._consumer.stop)
        return self._consumer

    def _can_take(self, queue: str) -> bool:
        """Whether there is room for one more: of pushes by their bytes, of anything by Celery's count."""
        can_take: bool = self.qos.can_consume()
        return can_take and (queue != batch.QUEUE or places.WORKER.has_room())

    def basic_consume(
        self, queue: str, no_ack: bool, callback: Callable[[Any], Any], consumer_tag: str, **_kwargs: Any
    ) -> None:
        """Consume from `queue`; messages are always acknowledged, no_ack is refused because it loses them."""
        if no_ack:
            raise ValueError("no_ack loses messages; it is not offered")
        self._tag_to_queue[consumer_tag] = queue
        self._consumers.add(consumer_tag)

        def deliver(raw: dict[str, Any]) -> None:
            message = self.Message(raw, channel=self)
            if message.errors:
                raise message.errors[0][1]
            self.qos.append(message, message.delivery_tag)
            try:
                callback(message)
            except Exception:
                kombu_redis.virtual.QoS.ack(self.qos, message.delivery_tag)  # it takes up no room any more
                raise

        self.connection._callbacks[queue] = deliver
        self.consumer.consume(queue, deliver)

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop consuming; with several queues on a channel Celery cancels all of them together."""
        self._consumers.discard(consumer_tag)
        queue = self._tag_to_queue.pop(consumer_tag, None)
        self.connection._callbacks.pop(queue, None)
        if self._consumer is not None:
            self._consumer.stop()

    def close(self) -> None:
        """Close the channel; unacknowledged messages are requeued. What runs still may be acknowledged afterwards."""
        if self._consumer is not None:
            self._consumer.close()
        super().close()


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """The transport as Celery loads it by its name (TRANSPORT_ALIASES)."""

    Channel = Channel
    hub: AsyncioHub

    def register_with_event_loop(self, connection: Any, loop: AsyncioHub) -> None:
        """Remember the hub; nothing is polled by kombu."""
        self.hub = loop
