"""Builds the commands that enqueue a batch: Celery's message is serialised once at start-up, and only ids, time and
payload are filled in.

Filling it in costs a few microseconds a batch; apply_async costs 300 to 600. Invariant: the message is the one that
Celery itself would send, because Celery makes it, for a transport that keeps it.
"""

import base64
import math
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from celery import current_app
from kombu import Connection
from kombu.transport import virtual

from delivery import tasks
from delivery.queue import batch, shared_clock, valkey

# Bytes of a sealed batch that travel inside the task; larger ones get a key of their own.
INLINE_MOST: Final = 6000
# Seconds that a payload is kept for: longer than any push is worth delivering.
PAYLOAD_TTL: Final = 8 * 24 * 3600
# Seconds after which the positions of a process's batches are forgotten, and how many of the newest are kept: more than
# are in flight within the deadline of a push.
SENT_TTL: Final = 86_400
SENT_MOST: Final = 1_024
# Seconds, and positions, after which the list is trimmed and its time begins anew.
TRIM_SECONDS, TRIM_EVERY = 60.0, 64
# How a message says whether it may have been delivered before (hpns/celery/transport.py changes the one, too).
FIRST_TIME, REDELIVERED = b'"redelivered":false', b'"redelivered":true'
# What stands in a serialised message where a batch's own values belong.
TASK, BATCH, SEALED, AT = "@TASK@", "@BATCH@", "@SEALED@", "@AT@"


_MULTI, _EXEC = valkey.pack(("MULTI",)), valkey.pack(("EXEC",))


class CapturingChannel(virtual.Channel):  # type: ignore[misc]
    """A kombu channel that keeps what would be put on the wire."""

    do_restore = False
    body_encoding = None

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        self.connection.messages.append((queue, message))


class CapturingTransport(virtual.Transport):  # type: ignore[misc]
    """A kombu transport without a broker: `messages` are those published on it, each with its queue's name."""

    Channel = CapturingChannel

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)
        self.messages: list[tuple[str, dict[str, Any]]] = []


def serialised(*, with_payload: bool) -> tuple[str, bytes]:
    """The queue's name and the message of a `deliver` task as Celery itself makes it, with placeholders.

    TASK stands for the task's id (twice, and as the delivery tag), BATCH for the batch's id, AT with its quotes for the
    unix time, SEALED (only with_payload) for the sealed pushes in base64.
    """
    with Connection(transport=CapturingTransport) as connection:
        producer = current_app.amqp.Producer(connection.channel())
        args = (BATCH, SEALED) if with_payload else (BATCH,)
        tasks.deliver.apply_async(
            args, producer=producer, task_id=TASK, add_to_parent=False, retry=False, argsrepr="", kwargsrepr=""
        )
        queue, message = connection.transport.messages[0]
    message["properties"]["delivery_tag"] = TASK
    message["headers"]["at"] = AT  # for the age of the oldest batch on the page of metrics
    message["properties"]["delivery_info"]["redelivered"] = False
    return queue, msgspec.json.encode(message)


def sent_key(process: str) -> str:
    """The key of the list of the positions of the last batches that a web process has put into the queue, newest first.

    It has at most SENT_MOST entries.
    """
    return f"sent:{process}"


class EnvelopeTemplate:
    """The messages of one web process, serialised but for what differs from batch to batch."""

    def __init__(self, process: str) -> None:
        """`process`: this process's name."""
        self._sent_key, self._trim_at = sent_key(process), -math.inf
        self._trim = valkey.pack(("LTRIM", self._sent_key, "0", str(SENT_MOST - 1)))
        self._trim += valkey.pack(("EXPIRE", self._sent_key, str(SENT_TTL)))
        self.queue, self._by_key = serialised(with_payload=False)
        _, self._inline = serialised(with_payload=True)

    def on_lost(self) -> None:
        """The list of positions may be another one: its time begins anew with the next."""
        self._trim_at = -math.inf

    def message(self, batch_id: str, sealed: bytes) -> bytes:
        """The message of a batch that nobody has had before; what is large in it has a key of its own."""
        name = batch_id.encode()
        inline = len(sealed) <= INLINE_MOST
        message = self._inline if inline else self._by_key
        message = message.replace(TASK.encode(), name).replace(BATCH.encode(), name)
        message = message.replace(b'"%b"' % AT.encode(), b"%.3f" % shared_clock.now())
        return message.replace(SEALED.encode(), base64.b64encode(sealed)) if inline else message

    def commands(
        self,
        batch_id: str,
        position: int,
        sealed: bytes,
        message: bytes,
        *,
        key: str = "",
        settled: Sequence[int] = (),
        entering: bytes = b"",
        noting: bytes = b"",
    ) -> tuple[bytes, int]:
        """The packed commands of one transaction that publishes a batch, and how many they are.

        position: what stands for it in the list of sent_key(); message: see message(); key: of the list that it goes
        to, if that is not the queue; settled: the indexes of its pushes that have ended already; entering:
        the command that enters it into the ledger; noting: the last one of the transaction, if there is any
        (delivery/queue/seen.py).
        """
        parts = [_MULTI]
        done = batch.progress_key(batch_id)
        parts += [valkey.pack(("SETBIT", done, str(batch.progress_bit(index)), "1")) for index in settled]
        if settled:
            parts.append(valkey.pack(("EXPIRE", done, str(PAYLOAD_TTL))))
        if len(sealed) > INLINE_MOST:
            parts.append(valkey.pack(("SET", batch.payload_key(batch_id), sealed, "EX", str(PAYLOAD_TTL))))
        parts += [
            valkey.pack(("LPUSH", key or self.queue, message)),
            valkey.pack(("LPUSH", self._sent_key, str(position))),
        ]
        count, now = len(parts) + 1, time.monotonic()
        if position % TRIM_EVERY == 0 or now >= self._trim_at:
            self._trim_at = now + TRIM_SECONDS
            parts.append(self._trim)
            count += 2
        for more in (entering, noting):
            if more:
                parts.append(more)
                count += 1
        parts.append(_EXEC)
        return b"".join(parts), count


def redelivered(message: bytes) -> bytes:
    """The same message, saying that some worker may have had it before."""
    return message.replace(FIRST_TIME, REDELIVERED)
