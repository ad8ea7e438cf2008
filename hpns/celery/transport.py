"""Reliable queue on BLMOVE: a message is in its queue or in one worker's processing list, never in neither.

kombu's Redis transport takes a message with BRPOP and notes it as unacknowledged in a second command: a worker that is
killed in between, or while the answer lies in its socket, loses the message (test_transport.py shows it). Here one
BLMOVE moves a message from its queue to the worker's list (https://valkey.io/commands/lmove/, "Reliable queue"), which
it leaves when it is acknowledged. A worker sends heartbeats; the lists of workers whose lease has expired go back to
the heads of their queues, marked as redelivered, whatever host they ran on. Publishing and the envelope stay kombu's.

Keys: QUEUE · taken:WORKER:QUEUE (processing list) · workers (sorted set: worker by its last heartbeat, unix seconds).
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from typing import Any

import msgspec
from django.conf import settings
from kombu.transport import redis as kombu_redis

from delivery.queue import valkey
from hpns.celery.hub import AsyncioHub

logger = logging.getLogger(__name__)

# A worker without a heartbeat for so long counts as dead, which each heartbeat looks for. Together with the restart of
# the batch this keeps the pushes of a killed worker going within 15 s.
LEASE_SECONDS, HEARTBEAT_SECONDS = 6, 2
# For how long one BLMOVE blocks at the server. A worker that is held still, or cut off, goes on consuming for so long.
BLOCK_SECONDS = 5

# Requeues the processing lists of workers whose lease has expired, at the heads of their queues. A worker is forgotten
# only when it cannot consume any more: until then a BLMOVE that it has sent may still come about. ARGV: a worker that
# gives its lease up or "", then the queues. The clock is the server's.
REQUEUE_EXPIRED = f"""#!lua flags=allow-oom
local now = tonumber(redis.call('TIME')[1])
if ARGV[1] ~= '' then redis.call('ZADD', 'workers', now - {LEASE_SECONDS} - 1, ARGV[1]) end
local requeued = 0
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', 'workers', '-inf', '(' .. (now - {LEASE_SECONDS}))) do
  for i = 2, #ARGV do
    local taken = 'taken:' .. worker .. ':' .. ARGV[i]
    local item = redis.call('LPOP', taken)
    while item do
      item = string.gsub(item, '"redelivered":false', '"redelivered":true', 1)
      redis.call('RPUSH', ARGV[i], item)
      requeued = requeued + 1
      item = redis.call('LPOP', taken)
    end
  end
end
redis.call('ZREMRANGEBYSCORE', 'workers', '-inf', now - {LEASE_SECONDS + BLOCK_SECONDS + 5})
return requeued
"""
# Renews a lease. ARGV: the worker.
HEARTBEAT = "#!lua flags=allow-oom\nreturn redis.call('ZADD', 'workers', redis.call('TIME')[1], ARGV[1])"
# The same as BLMOVE, without blocking: Valkey refuses BLMOVE when memory is full, and then consuming is what frees it.
MOVE = "#!lua flags=allow-oom\nreturn redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')"
UNREADABLE = "unreadable"  # a list of what came through a queue and is no message


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
        """Reject: drop the message, or requeue it at the end of its queue."""
        if requeue:
            self.channel.consumer.requeue(delivery_tag)
        else:
            self.channel.consumer.ack(delivery_tag)
        kombu_redis.virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_args: Any, **_options: Any) -> None:
        """Leases take the place of the visibility timeout."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """The consumer requeues what is unacknowledged when its channel closes."""
        self._on_collect.cancel()


class Consumer:
    """Consumes messages for one channel, on one blocking connection per queue, and renews this worker's lease."""

    def __init__(self, channel: "Channel", url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.channel, self.url, self.loop = channel, url, loop
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.link = valkey.shared(url, loop)
        self.unacked: dict[str, tuple[str, bytes]] = {}  # delivery tag -> (queue, message as it stands in the list)
        self.unconfirmed_acks: set[bytes] = set()  # acknowledged, but the server has not confirmed it yet
        self.callbacks: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.links: dict[str, valkey.Link] = {}
        self.consuming: list[asyncio.Task[None]] = []
        self.heartbeat: asyncio.Task[None] | None = None
        self.prefetch_room = asyncio.Event()
        self.registered = asyncio.Event()  # has a lease: what is consumed before that would be requeued by nobody
        self.closed = False

    def processing_list(self, queue: str) -> str:
        """The key of this worker's processing list for `queue`."""
        return f"taken:{self.worker}:{queue}"

    def consume(self, queue: str, deliver: Callable[[dict[str, Any]], None]) -> None:
        """Begin consuming from `queue`; `deliver` gets each decoded message."""
        if not self.callbacks:
            self.heartbeat = self.loop.create_task(self._renew_lease())
        self.callbacks[queue] = deliver
        self.consuming.append(self.loop.create_task(self._consume(queue)))

    async def _consume(self, queue: str) -> None:
        link = self.links[queue] = valkey.Link(self.url)
        await self.registered.wait()
        while not self.closed:
            try:
                if not link.up:
                    await link.start()
                    await self._recover(link, queue)
                await self._wait_for_room()
                item = await link.execute(
                    "BLMOVE", queue, self.processing_list(queue), "RIGHT", "LEFT", str(BLOCK_SECONDS)
                )
                if isinstance(item, Exception) and str(item).startswith("OOM"):
                    await asyncio.sleep(0.05)
                    item = await link.execute("EVAL", MOVE, "2", queue, self.processing_list(queue))
                if isinstance(item, Exception):
                    raise ConnectionError(str(item))
                if item is not None:
                    self._deliver(queue, item)
            except ConnectionError as error:
                logger.warning("consuming from %s was interrupted, will resume: %s", queue, error)
                await asyncio.sleep(0.1)
                if link.up:
                    link.close()
                    link = self.links[queue] = valkey.Link(self.url)

    async def _wait_for_room(self) -> None:
        while not self.channel.qos.can_consume():
            self.prefetch_room.clear()
            await self.prefetch_room.wait()

    def _deliver(self, queue: str, item: bytes) -> None:
        try:
            message = msgspec.json.decode(item)
            tag: str = message["properties"]["delivery_tag"]
        except (msgspec.DecodeError, KeyError, TypeError):
            logger.exception("a message of queue %s cannot be decoded, it is kept in %s", queue, UNREADABLE)
            self.link.post(valkey.pack(("LMOVE", self.processing_list(queue), UNREADABLE, "LEFT", "LEFT")), 1)
            return
        self.unacked[tag] = (queue, item)
        self.callbacks[queue](message)

    async def _recover(self, link: valkey.Link, queue: str) -> None:
        """After a reconnect: deliver what was moved for us while the reply got lost; drop what is acknowledged."""
        known = {raw for _, raw in self.unacked.values()}
        for item in reversed(await link.execute("LRANGE", self.processing_list(queue), "0", "-1") or []):
            if item in self.unconfirmed_acks:
                await link.execute("LREM", self.processing_list(queue), "1", item)
                self.unconfirmed_acks.discard(item)
            elif item not in known:
                self._deliver(queue, item)

    def ack(self, tag: str) -> None:
        """Acknowledge by delivery tag."""
        queue, item = self.unacked.pop(tag)
        self.unconfirmed_acks.add(item)
        reply: asyncio.Future[Any] = self.loop.create_future()
        reply.add_done_callback(lambda reply: self._on_acked(reply, item))
        self.link.post(valkey.pack(("LREM", self.processing_list(queue), "1", item)), 1, reply)
        self.prefetch_room.set()

    def _on_acked(self, reply: "asyncio.Future[Any]", item: bytes) -> None:
        if not reply.cancelled() and reply.exception() is None and not isinstance(reply.result(), Exception):
            self.unconfirmed_acks.discard(item)

    def requeue(self, tag: str) -> None:
        """Requeue a message at the end of its queue: what cannot be done now must not stand in the way of what can."""
        queue, item = self.unacked.pop(tag)
        self.link.post(
            valkey.pack(("MULTI",))
            + valkey.pack(("LREM", self.processing_list(queue), "1", item))
            + valkey.pack(("LPUSH", queue, item))
            + valkey.pack(("EXEC",)),
            4,
        )
        self.prefetch_room.set()

    async def _renew_lease(self) -> None:
        while not self.closed:
            try:
                await self.link.execute("EVAL", HEARTBEAT, "0", self.worker)
                self.registered.set()
                requeued = await self.link.execute("EVAL", REQUEUE_EXPIRED, "0", "", *self.callbacks)
                if isinstance(requeued, Exception):
                    logger.error("requeueing messages of expired workers failed: %s", requeued)
                elif requeued:
                    logger.warning("requeued %d messages of workers whose lease has expired", requeued)
            except ConnectionError:
                # The link logs it and reconnects; until then nobody can renew a lease.
                await asyncio.sleep(0.1)
                continue
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def stop(self) -> None:
        """Consume no further message; what runs may still be acknowledged, and the lease is renewed meanwhile."""
        for task in self.consuming:
            task.cancel()
        self.consuming.clear()

    def _end(self) -> None:
        self.stop()
        self.closed = True
        if self.heartbeat is not None:
            self.heartbeat.cancel()

    def close(self) -> None:
        """Stop, wait for the replies to the last acknowledgements, and requeue the rest."""
        self._end()
        for link in self.links.values():
            link.close()
        if self.loop.is_closed() or self.loop.is_running():
            return  # a broken broker connection: the lease expires and others requeue
        try:
            self.loop.run_until_complete(asyncio.wait_for(self._give_lease_up(), 2))
        except (ConnectionError, TimeoutError) as error:
            logger.warning("could not requeue unfinished messages, others will when the lease expires: %s", error)

    async def _give_lease_up(self) -> None:
        requeued = await self.link.execute("EVAL", REQUEUE_EXPIRED, "0", self.worker, *self.callbacks)
        if requeued:
            logger.warning("requeued %s unfinished messages", requeued)


class Channel(kombu_redis.Channel):  # type: ignore[misc]
    """A kombu channel whose callbacks are fed by a Consumer."""

    QoS = QoS
    # JSON stands in the envelope as it is: base64 would cost a third more bytes at each hop.
    body_encoding = None
    _consumer: Consumer | None = None

    @property
    def consumer(self) -> Consumer:
        """The consumer of this channel, made at the first use."""
        if self._consumer is None:
            self._consumer = Consumer(self, settings.CELERY_BROKER_URL, self.connection.hub.aio)
            self.connection.hub.on_drain.append(self._consumer.stop)
        return self._consumer

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
            self.qos.append(message, message.delivery_tag)
            callback(message)

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
        """Close the channel; unacknowledged messages are requeued."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        super().close()


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """The transport as Celery loads it by its name (TRANSPORT_ALIASES)."""

    Channel = Channel
    hub: AsyncioHub

    def register_with_event_loop(self, connection: Any, loop: AsyncioHub) -> None:
        """Remember the hub; nothing is polled by kombu."""
        self.hub = loop
