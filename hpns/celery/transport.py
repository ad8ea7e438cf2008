"""kombu's Redis transport with an atomic take, so that no message is ever nowhere.

kombu takes a message with BRPOP and notes it as unacknowledged in a second command: a worker that is killed in
between, or while the answer lies in its socket, loses the message (test_transport.py shows it). Here a message moves
with one BLMOVE from its queue into a list of this worker and leaves it when it is acknowledged. A worker gives
signs of life; the lists of workers that have given none for a while go back to the heads of their queues, marked as
redelivered, whatever host they ran on. The envelope and everything on the publishing side stay kombu's.

Keys: QUEUE · taken:WORKER:QUEUE (list) · workers (sorted set: worker by its last sign of life, in unix seconds).
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

# Seconds: a worker without a sign of life for LEASE counts as dead; looked at every BEAT. Together with the restart of
# the batch this keeps the pushes of a killed worker going within 15 s.
LEASE, BEAT = 6, 2
# Seconds for which one BLMOVE waits at the server. A worker that is held still, or cut off, goes on taking for so long.
BLOCK = 5

# What the workers whose lease has lapsed have taken goes back to the heads of its queues. A worker is forgotten only
# when it cannot take any more: until then a move that it asked for may still come about. ARGV: a worker that leaves of
# its own accord or "", then the queues. The clock is the server's.
GIVE_BACK = f"""#!lua flags=allow-oom
local now = tonumber(redis.call('TIME')[1])
if ARGV[1] ~= '' then redis.call('ZADD', 'workers', now - {LEASE} - 1, ARGV[1]) end
local back = 0
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', 'workers', '-inf', '(' .. (now - {LEASE}))) do
  for i = 2, #ARGV do
    local taken = 'taken:' .. worker .. ':' .. ARGV[i]
    local item = redis.call('LPOP', taken)
    while item do
      item = string.gsub(item, '"redelivered":false', '"redelivered":true', 1)
      redis.call('RPUSH', ARGV[i], item)
      back = back + 1
      item = redis.call('LPOP', taken)
    end
  end
end
redis.call('ZREMRANGEBYSCORE', 'workers', '-inf', now - {LEASE + BLOCK + 5})
return back
"""
# A sign of life. ARGV: the worker.
ALIVE = "#!lua flags=allow-oom\nreturn redis.call('ZADD', 'workers', redis.call('TIME')[1], ARGV[1])"
# The same move as BLMOVE, without waiting: Valkey refuses BLMOVE when memory is full, and then taking is what frees it.
TAKE = "#!lua flags=allow-oom\nreturn redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')"
UNREADABLE = "unreadable"  # a list of what came through a queue and is no message


class QoS(kombu_redis.QoS):  # type: ignore[misc]
    """Acknowledgement = removal from this worker's list; nothing else is kept at the server."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message as delivered to a consumer."""
        kombu_redis.virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Take the message off this worker's list."""
        self.channel.taker.ack(delivery_tag)
        kombu_redis.virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Drop the message, or leave it in the list until the next look for left-overs of this worker."""
        if requeue:
            self.channel.taker.requeue(delivery_tag)
        else:
            self.channel.taker.ack(delivery_tag)
        kombu_redis.virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_args: Any, **_options: Any) -> None:
        """Leases take the place of the visibility timeout."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """The taker gives back what is left when its channel closes."""
        self._on_collect.cancel()


class Taker:
    """Takes messages for one channel, one blocking connection per queue, and keeps this worker's lease."""

    def __init__(self, channel: "Channel", url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.channel, self.url, self.loop = channel, url, loop
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.link = valkey.shared(url, loop)
        self.raw: dict[str, tuple[str, bytes]] = {}  # delivery tag -> (queue, message as it stands in the list)
        self.unconfirmed: set[bytes] = set()  # acknowledged, but the server has not said so yet
        self.deliverers: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.links: dict[str, valkey.Link] = {}
        self.takers: list[asyncio.Task[None]] = []
        self.lease: asyncio.Task[None] | None = None
        self.room = asyncio.Event()
        self.alive = asyncio.Event()  # known to the others: what is taken before that would come back to nobody
        self.closed = False

    def taken(self, queue: str) -> str:
        """The key of the list that holds what this worker took from `queue`."""
        return f"taken:{self.worker}:{queue}"

    def consume(self, queue: str, deliver: Callable[[dict[str, Any]], None]) -> None:
        """Begin taking from `queue`; `deliver` gets each decoded message."""
        if not self.deliverers:
            self.lease = self.loop.create_task(self._keep_lease())
        self.deliverers[queue] = deliver
        self.takers.append(self.loop.create_task(self._take(queue)))

    async def _take(self, queue: str) -> None:
        link = self.links[queue] = valkey.Link(self.url)
        await self.alive.wait()
        while not self.closed:
            try:
                if not link.up:
                    await link.start()
                    await self._recover(link, queue)
                await self._room()
                item = await link.execute("BLMOVE", queue, self.taken(queue), "RIGHT", "LEFT", str(BLOCK))
                if isinstance(item, Exception) and str(item).startswith("OOM"):
                    await asyncio.sleep(0.05)
                    item = await link.execute("EVAL", TAKE, "2", queue, self.taken(queue))
                if isinstance(item, Exception):
                    raise ConnectionError(str(item))
                if item is not None:
                    self._deliver(queue, item)
            except ConnectionError as error:
                logger.warning("taking from %s stopped, will go on: %s", queue, error)
                await asyncio.sleep(0.1)
                if link.up:
                    link.close()
                    link = self.links[queue] = valkey.Link(self.url)

    async def _room(self) -> None:
        while not self.channel.qos.can_consume():
            self.room.clear()
            await self.room.wait()

    def _deliver(self, queue: str, item: bytes) -> None:
        try:
            message = msgspec.json.decode(item)
            tag: str = message["properties"]["delivery_tag"]
        except (msgspec.DecodeError, KeyError, TypeError):
            logger.exception("what came through %s is no message, it is kept in %s", queue, UNREADABLE)
            self.link.post(valkey.pack(("LMOVE", self.taken(queue), UNREADABLE, "LEFT", "LEFT")), 1)
            return
        self.raw[tag] = (queue, item)
        self.deliverers[queue](message)

    async def _recover(self, link: valkey.Link, queue: str) -> None:
        """After a broken connection: deliver what was moved for us while its answer got lost; drop what is acked."""
        known = {raw for _, raw in self.raw.values()}
        for item in reversed(await link.execute("LRANGE", self.taken(queue), "0", "-1") or []):
            if item in self.unconfirmed:
                await link.execute("LREM", self.taken(queue), "1", item)
                self.unconfirmed.discard(item)
            elif item not in known:
                self._deliver(queue, item)

    def ack(self, tag: str) -> None:
        """Acknowledge by delivery tag."""
        queue, item = self.raw.pop(tag)
        self.unconfirmed.add(item)
        future: asyncio.Future[Any] = self.loop.create_future()
        future.add_done_callback(lambda done: self._acked(done, item))
        self.link.post(valkey.pack(("LREM", self.taken(queue), "1", item)), 1, future)
        self.room.set()

    def _acked(self, done: "asyncio.Future[Any]", item: bytes) -> None:
        if not done.cancelled() and done.exception() is None and not isinstance(done.result(), Exception):
            self.unconfirmed.discard(item)

    def requeue(self, tag: str) -> None:
        """Put a message to the end of its queue: what cannot be done now must not stand in the way of what can."""
        queue, item = self.raw.pop(tag)
        self.link.post(
            valkey.pack(("MULTI",))
            + valkey.pack(("LREM", self.taken(queue), "1", item))
            + valkey.pack(("LPUSH", queue, item))
            + valkey.pack(("EXEC",)),
            4,
        )
        self.room.set()

    async def _keep_lease(self) -> None:
        while not self.closed:
            try:
                await self.link.execute("EVAL", ALIVE, "0", self.worker)
                self.alive.set()
                back = await self.link.execute("EVAL", GIVE_BACK, "0", "", *self.deliverers)
                if isinstance(back, Exception):
                    logger.error("the look for dead workers failed: %s", back)
                elif back:
                    logger.warning("put %d messages of workers that died back to the queue", back)
            except ConnectionError:
                # The link says so itself and comes back; until then no lease can be kept by anybody.
                await asyncio.sleep(0.1)
                continue
            await asyncio.sleep(BEAT)

    def stop(self) -> None:
        """Take no further message; what runs may still be acknowledged, and the lease is kept meanwhile."""
        for task in self.takers:
            task.cancel()
        self.takers.clear()

    def _end(self) -> None:
        self.stop()
        self.closed = True
        if self.lease is not None:
            self.lease.cancel()

    def close(self) -> None:
        """Stop, wait for the answers to the last acknowledgements, and give the rest back to the queues."""
        self._end()
        for link in self.links.values():
            link.close()
        if self.loop.is_closed() or self.loop.is_running():
            return  # a broken broker connection: the lease lapses and others take over
        try:
            self.loop.run_until_complete(asyncio.wait_for(self._leave(), 2))
        except (ConnectionError, TimeoutError) as error:
            logger.warning("could not give unfinished messages back at once, the lease will lapse: %s", error)

    async def _leave(self) -> None:
        back = await self.link.execute("EVAL", GIVE_BACK, "0", self.worker, *self.deliverers)
        if back:
            logger.warning("gave %s unfinished messages back to the queue", back)


class Channel(kombu_redis.Channel):  # type: ignore[misc]
    """A kombu channel whose consumers are fed by a Taker."""

    QoS = QoS
    # JSON stands in the envelope as it is: base64 would cost a third more bytes at each hop.
    body_encoding = None
    _taker: Taker | None = None

    @property
    def taker(self) -> Taker:
        """The taker of this channel, made at the first use."""
        if self._taker is None:
            self._taker = Taker(self, settings.CELERY_BROKER_URL, self.connection.hub.aio)
            self.connection.hub.on_drain.append(self._taker.stop)
        return self._taker

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
        self.taker.consume(queue, deliver)

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop taking; with several queues on a channel Celery cancels all of them together."""
        self._consumers.discard(consumer_tag)
        queue = self._tag_to_queue.pop(consumer_tag, None)
        self.connection._callbacks.pop(queue, None)
        if self._taker is not None:
            self._taker.stop()

    def close(self) -> None:
        """Close the channel; unfinished messages go back."""
        if self._taker is not None:
            self._taker.close()
            self._taker = None
        super().close()


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """See the module."""

    Channel = Channel
    hub: AsyncioHub

    def register_with_event_loop(self, connection: Any, loop: AsyncioHub) -> None:
        """Remember the hub; nothing is polled by kombu."""
        self.hub = loop
